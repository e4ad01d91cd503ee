"""The macro that declares a fuzz target.

    load("//tools/bazel:fuzz.bzl", "fuzz_test")

    fuzz_test(
        name = "foo_fuzz",
        srcs = ["foo_fuzz.cc"],
        corpus = glob(["foo_fuzz_corpus/**"]),
        deps = [":foo"],
    )

One target, two lives. An ordinary `bazel test` replays every corpus file once, with any compiler
and any sanitizer. `bazel test --config=fuzz` links libFuzzer instead, runs the corpus and explores
for a few seconds. To explore for longer, and keep what it finds:

    bazel run --config=fuzz //pkg:foo_fuzz -- -max_total_time=3600 "$PWD/pkg/foo_fuzz_corpus"
"""

# A bounded look, so that a run of all tests stays short. A flag given later on the command line wins.
_EXPLORE = [
    "-max_total_time=10",
    "-timeout=10",
    "-rss_limit_mb=2048",
]

def fuzz_test(name, srcs, corpus, deps = [], size = "small", tags = [], **kwargs):
    """Declares a cc_test around LLVMFuzzerTestOneInput.

    Args:
      name: target name, by custom ending in _fuzz.
      srcs: sources, one of which defines LLVMFuzzerTestOneInput.
      corpus: files of this package, checked in; at least one.
      deps: what the sources include.
      size: as of cc_test.
      tags: as of cc_test; "fuzz" is added.
      **kwargs: passed on to cc_test.
    """
    if not corpus:
        fail("fuzz_test %s: the corpus is empty, so the test could never fail" % name)
    files = ["%s/%s" % (native.package_name(), file) for file in corpus]
    native.cc_test(
        name = name,
        size = size,
        srcs = srcs,
        # Files by name and no folder: libFuzzer would write what it finds into the first folder.
        args = select({
            "//tools/bazel:fuzz": _EXPLORE + ["-seed_inputs=" + ",".join(files)],
            "//conditions:default": files,
        }),
        data = corpus,
        linkopts = select({
            "//tools/bazel:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = tags + ["fuzz"],
        deps = deps + select({
            "//tools/bazel:fuzz": [],
            "//conditions:default": ["//tests/fuzz:replay_main"],
        }),
        **kwargs
    )
