"""The rule that makes one archive of a library and of all that it consists of.

    static_library(
        name = "annulus_static",
        library_name = "annulus",       # libannulus.a
        deps = ["//vmm"],
    )

A cc_library has an archive of its own objects alone, so a program outside of Bazel would have to name a
hundred of them, in order. This archive has the position-independent objects of all: they serve a program, a
position-independent one, and a shared library. What the linker is told besides (-l of Debian's packages) is
not in it.
"""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

def _objects_of(deps):
    objects = {}  # A set, in order.
    for dep in deps:
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            for library in linker_input.libraries:
                for object in library.pic_objects or library.objects or []:
                    objects[object] = None
    return objects.keys()

def _static_library_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    objects = _objects_of(ctx.attr.deps)
    if not objects:
        fail("%s consists of nothing" % ctx.label)
    archive = ctx.actions.declare_file("lib%s.a" % ctx.attr.library_name)

    # q, not r: members of equal names (net/queues/tx.o, vsock/queues/tx.o) are no replacements of each
    # other. D: the same bytes from the same objects.
    arguments = ctx.actions.args()
    arguments.add("qcsD")
    arguments.add(archive)
    arguments.add_all(objects)
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    ctx.actions.run(
        executable = toolchain.ar_executable,
        arguments = [arguments],
        inputs = depset(objects, transitive = [toolchain.all_files]),
        outputs = [archive],
        mnemonic = "StaticLibrary",
        progress_message = "Archiving %s" % archive.short_path,
    )
    return [DefaultInfo(files = depset([archive]))]

static_library = rule(
    implementation = _static_library_impl,
    attrs = {
        "library_name": attr.string(mandatory = True, doc = "NAME of libNAME.a."),
        "deps": attr.label_list(providers = [CcInfo], mandatory = True),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
    incompatible_use_toolchain_transition = True,
)
