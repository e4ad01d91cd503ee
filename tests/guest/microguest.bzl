"""The rule that builds a freestanding guest program."""

# The guest is never instrumented and never vectorized: a software KVM emulates
# neither SSE nor cmpxchg16b, so these flags are its own and not the toolchain's.
_FLAGS = [
    "-std=c++20",
    "-O2",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-stack-protector",
    "-fno-pic",
    "-fno-asynchronous-unwind-tables",
    "-fno-threadsafe-statics",
    "-fno-tree-loop-distribute-patterns",
    "-mgeneral-regs-only",
    "-mno-red-zone",
    "-mcmodel=small",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-I.",
]

_LINK_FLAGS = [
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,--no-warn-rwx-segments",
    "-Wl,-z,max-page-size=0x1000",
    "-s",
]

def _microguest_impl(ctx):
    headers = depset(transitive = [
        dep[CcInfo].compilation_context.headers
        for dep in ctx.attr.deps
    ])
    elf = ctx.actions.declare_file(ctx.label.name + ".elf")
    arguments = ctx.actions.args()
    arguments.add_all(_FLAGS)
    arguments.add_all(ctx.attr.copts)
    arguments.add_all(_LINK_FLAGS)
    arguments.add(ctx.file.linker_script, format = "-Wl,-T,%s")
    arguments.add("-Wl,-e," + ctx.attr.entry)
    arguments.add("-o", elf)
    arguments.add_all(ctx.files.srcs)
    ctx.actions.run(
        executable = "/usr/bin/gcc",
        arguments = [arguments],
        inputs = depset(
            ctx.files.srcs + ctx.files.hdrs + [ctx.file.linker_script],
            transitive = [headers],
        ),
        outputs = [elf],
        mnemonic = "Microguest",
        use_default_shell_env = True,
    )
    return [DefaultInfo(
        files = depset([elf]),
        runfiles = ctx.runfiles([elf]),
    )]

microguest = rule(
    doc = "Compiles and links a guest, NAME.elf, in one step, the same in every configuration.",
    implementation = _microguest_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".cc", ".S"]),
        "hdrs": attr.label_list(allow_files = [".h"]),
        "deps": attr.label_list(
            doc = "Header-only freestanding libraries.",
            providers = [CcInfo],
        ),
        "copts": attr.string_list(),
        "entry": attr.string(default = "linux64_entry"),
        "linker_script": attr.label(allow_single_file = [".lds"], mandatory = True),
    },
)
