"""An aspect that runs clang-tidy on the C++ sources that ship, as cached build actions.

Tests are left out: they are half of the code and would take more than half of the time.

    bazel build --config=tidy //...

Bazel knows what each source includes, so only what changed is looked at again.
"""

def _flags(context):
    """The preprocessor's view of a target: its include paths and defines."""
    flags = []
    for option, paths in (
        ("-iquote", context.quote_includes),
        ("-I", context.includes),
        ("-isystem", context.system_includes),
    ):
        for path in paths.to_list():
            flags += [option, path]
    for define in context.defines.to_list() + context.local_defines.to_list():
        flags.append("-D" + define)
    return flags

def _clang_tidy_impl(target, ctx):
    nothing = [OutputGroupInfo(clang_tidy = depset())]
    if CcInfo not in target or target.label.workspace_name or not hasattr(ctx.rule.attr, "srcs"):
        return nothing
    if ctx.rule.kind not in ("cc_library", "cc_binary") or ctx.rule.attr.testonly:
        return nothing
    context = target[CcInfo].compilation_context
    config = ctx.file._config
    reports = []
    for source in ctx.rule.files.srcs:
        if source.extension != "cc":
            continue
        report = ctx.actions.declare_file("%s.%s.tidy" % (source.basename, target.label.name))
        arguments = ctx.actions.args()
        arguments.add(report)
        arguments.add(config)
        arguments.add(source)
        arguments.add_all(["-std=c++20", "-xc++", "-Wno-unknown-warning-option"])
        arguments.add_all(_flags(context))
        ctx.actions.run_shell(
            inputs = depset([source, config], transitive = [context.headers]),
            outputs = [report],
            # A clean run leaves an empty report; a failed one shows what clang-tidy said.
            command = """
report=$1 config=$2 source=$3
shift 3
if ! clang-tidy --quiet --config-file="$config" "$source" -- "$@" >"$report" 2>"$report.errors"
then
  cat "$report"
  grep -E 'error:' "$report.errors"
  exit 1
fi
""",
            arguments = [arguments],
            mnemonic = "ClangTidy",
            progress_message = "clang-tidy %s" % source.short_path,
            use_default_shell_env = True,
        )
        reports.append(report)
    return [OutputGroupInfo(clang_tidy = depset(reports))]

clang_tidy = aspect(
    implementation = _clang_tidy_impl,
    attrs = {
        "_config": attr.label(
            default = "//:.clang-tidy",
            allow_single_file = True,
        ),
    },
)
