#include "tests/bench/embed_bench_vm.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace annulus::bench {
namespace {

UniqueFd ListenSomewhere() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr address = {.sa_family = AF_UNIX, .sa_data = {}};
  // Of the family alone: the kernel chooses an abstract name.
  ANNULUS_CHECK(::bind(socket.get(), &address, sizeof(address.sa_family)) == 0);
  ANNULUS_CHECK(::listen(socket.get(), 16) == 0);
  return socket;
}

VmConfig ConfigOf(const std::string& program, const UniqueFd& listener) {
  VmConfig config;
  config.memory.size_bytes = kGuestRamBytes;
  config.boot.kernel = "microguest";  // Resources has the file.
  config.boot.cmdline = absl::StrCat("program=", program);
  config.rng.emplace_back();
  NetConfig net;
  net.backend = NetConfig::Backend::kLoopback;
  config.net.push_back(net);
  VsockConfig vsock;
  vsock.cid = 3;
  vsock.socket_fd = static_cast<uint32_t>(listener.get());
  config.vsock = vsock;
  return config;
}

}  // namespace

BenchVm::BenchVm(const EmbedBenchOptions& options, const std::string& program)
    : listener_(ListenSomewhere()), config_(ConfigOf(program, listener_)) {
  int ends[2];
  ANNULUS_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  console_.reset(ends[0]);
  resources_.kvm.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  resources_.kernel.reset(::open(options.kernel.c_str(), O_RDONLY | O_CLOEXEC));
  resources_.net.resize(1);
  resources_.console_out.reset(ends[1]);
  auto vsock = OpenVsockResources(*config_.vsock);
  ANNULUS_CHECK(vsock.ok());
  resources_.vsock = *std::move(vsock);
}

void BenchVm::Create() {
  auto vmm = Vmm::Create(config_, std::move(resources_));
  if (!vmm.ok()) {
    std::fprintf(stderr, "embed_bench: %s\n", vmm.status().ToString().c_str());
    std::exit(1);
  }
  vmm_ = *std::move(vmm);
}

void BenchVm::Start() { ANNULUS_CHECK(vmm_->Start().ok()); }

void BenchVm::AwaitOutput() {
  char buffer[4096];
  const ssize_t count = ::read(console_.get(), buffer, sizeof(buffer));
  ANNULUS_CHECK(count > 0);
  output_.append(buffer, static_cast<size_t>(count));
}

void BenchVm::AwaitOutput(const std::string& text) {
  while (output_.find(text) == std::string::npos) AwaitOutput();
}

}  // namespace annulus::bench
