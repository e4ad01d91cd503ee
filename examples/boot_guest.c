// Boots a guest from C, on descriptors alone: nothing is opened by the library.
//
//   bazel run //examples:boot_guest -- /boot/vmlinuz 'console=ttyS0 panic=-1'

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/c_api.h"

static int Fail(annulus_error* error) {
  fprintf(stderr, "error %d: %s\n", (int)annulus_error_code(error),
          annulus_error_message(error));
  annulus_error_free(error);
  return 1;
}

// Comes on threads of the library.
static void OnEvent(void* user, const annulus_event* event) {
  (void)user;
  fprintf(stderr, "event %d %s\n", (int)annulus_event_get_kind(event),
          annulus_event_device(event));
}

// What is handed over, whoever opened it: in a sandbox, somebody else.
static annulus_code HandOver(annulus_resources* resources, const char* kernel,
                             annulus_error** error) {
  const struct {
    annulus_file file;
    int fd;
  } files[] = {
      {ANNULUS_FILE_KVM, open("/dev/kvm", O_RDWR | O_CLOEXEC)},
      {ANNULUS_FILE_KERNEL, open(kernel, O_RDONLY | O_CLOEXEC)},
      {ANNULUS_FILE_CONSOLE_IN, dup(STDIN_FILENO)},
      {ANNULUS_FILE_CONSOLE_OUT, dup(STDOUT_FILENO)},
  };
  annulus_code code = annulus_resources_set_log_file(
      resources, dup(STDERR_FILENO), ANNULUS_WARNING, error);
  for (size_t i = 0; code == ANNULUS_OK && i < sizeof files / sizeof files[0];
       ++i) {
    code = annulus_resources_set_file(resources, files[i].file, files[i].fd,
                                      error);
  }
  return code;
}

int main(int argc, char** argv) {
  static const char kText[] =
      "boot { kernel: 'by descriptor' } memory { size_mib: 128 } rng {}";
  annulus_config* config = NULL;
  annulus_resources* resources = NULL;
  annulus_vm* vm = NULL;
  annulus_error* error = NULL;
  const annulus_exit* end = NULL;
  int result = 2;
  if (argc != 3) {
    fprintf(stderr, "usage: %s KERNEL COMMAND_LINE\n", argv[0]);
    return result;
  }
  if (annulus_config_parse(kText, strlen(kText), ANNULUS_FORMAT_TEXT, &config,
                           &error) != ANNULUS_OK ||
      annulus_config_set_cmdline(config, argv[2], &error) != ANNULUS_OK ||
      annulus_resources_create(&resources, &error) != ANNULUS_OK ||
      HandOver(resources, argv[1], &error) != ANNULUS_OK ||
      annulus_resources_set_events(resources, OnEvent, NULL, &error) !=
          ANNULUS_OK ||
      annulus_vm_create(config, resources, &vm, &error) != ANNULUS_OK ||
      annulus_vm_start(vm, &error) != ANNULUS_OK ||
      annulus_vm_wait(vm, &end, &error) != ANNULUS_OK) {
    result = Fail(error);
  } else {
    fprintf(stderr, "%s %s\n",
            annulus_exit_reason_name(annulus_exit_get_reason(end)),
            annulus_exit_detail(end));
    result = annulus_exit_get_reason(end) != ANNULUS_EXIT_GUEST_POWEROFF;
  }
  annulus_vm_free(vm);
  annulus_resources_free(resources);
  annulus_config_free(config);
  return result;
}
