# shellcheck shell=bash
# What kind of KVM this machine has.

# hardware, software (it opens, but emulates: no VMX and no SVM), forbidden or missing.
kvm_kind() {
  if [[ ! -e /dev/kvm ]]; then
    echo missing
  elif ! { : <>/dev/kvm; } 2>/dev/null; then
    echo forbidden
  elif grep -qwE 'vmx|svm' /proc/cpuinfo; then
    echo hardware
  else
    echo software
  fi
}

# Why a guest runs in the lab, for people.
kvm_kind_reason() {
  case $1 in
    missing) echo "there is no /dev/kvm" ;;
    forbidden) echo "/dev/kvm may not be opened by this user (add it to group kvm)" ;;
    software) echo "/dev/kvm is there but the CPU has no VMX or SVM: KVM would emulate in software" ;;
  esac
}
