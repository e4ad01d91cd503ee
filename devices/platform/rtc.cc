#include "devices/platform/rtc.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/platform/rtc_registers.h"

namespace annulus::platform {
namespace {

// An update begins 244 us after UIP rises and lasts 1984 us at 32.768 kHz.
constexpr int64_t kUpdateNanoseconds = 244'000 + 1'984'000;
constexpr int64_t kSecondNanoseconds = 1'000'000'000;

// Only std::chrono's arithmetic: gmtime_r() may open the time zone file, which
// a sandbox forbids.
struct CivilTime {
  uint8_t second, minute, hour, day_of_week, day_of_month, month;
  uint8_t year_of_century, century;
};

CivilTime ToCivil(int64_t unix_ns) {
  // Whole seconds first: nanoseconds cannot express each day of their range.
  const std::chrono::sys_seconds now{std::chrono::floor<std::chrono::seconds>(
      std::chrono::nanoseconds(unix_ns))};
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(now - day);
  const int year = int{date.year()};  // Of an int64_t: 1677 to 2262.
  return {
      .second = static_cast<uint8_t>(time.seconds().count()),
      .minute = static_cast<uint8_t>(time.minutes().count()),
      .hour = static_cast<uint8_t>(time.hours().count()),
      .day_of_week =
          static_cast<uint8_t>(std::chrono::weekday(day).c_encoding() + 1),
      .day_of_month = static_cast<uint8_t>(unsigned{date.day()}),
      .month = static_cast<uint8_t>(unsigned{date.month()}),
      .year_of_century = static_cast<uint8_t>(year % 100),
      .century = static_cast<uint8_t>(year / 100),
  };
}

uint8_t Format(uint8_t value, uint8_t register_b) {
  if ((register_b & kRtcBinary) != 0) return value;
  return static_cast<uint8_t>(value / 10 << 4 | value % 10);
}

uint8_t FormatHours(uint8_t hour, uint8_t register_b) {
  if ((register_b & kRtcHours24) != 0) return Format(hour, register_b);
  const uint8_t half_day_hour = hour % 12 == 0 ? 12 : hour % 12;
  const uint8_t afternoon = hour >= 12 ? kRtcAfternoon : 0;
  return Format(half_day_hour, register_b) | afternoon;
}

}  // namespace

Rtc::Rtc(const WallClock& clock) : clock_(clock) {
  MutexLock lock(mu_);
  ram_[kRtcRegisterA] = kRtcDividers;
  ram_[kRtcRegisterB] = kRtcHours24;
}

void Rtc::Read(uint64_t offset, absl::Span<uint8_t> data) {
  const int64_t now_ns = clock_.UnixNanoseconds();
  MutexLock lock(mu_);
  for (size_t i = 0; i < data.size(); ++i) {
    switch (offset + i) {
      case kRtcIndexOffset:
        data[i] = index_;
        break;
      case kRtcDataOffset:
        data[i] = ReadRegister(now_ns);
        break;
      default:
        data[i] = 0xff;
    }
  }
}

void Rtc::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  MutexLock lock(mu_);
  for (size_t i = 0; i < data.size(); ++i) {
    switch (offset + i) {
      case kRtcIndexOffset:
        index_ = data[i] & kRtcIndexMask;
        break;
      case kRtcDataOffset:
        WriteRegister(data[i]);
        break;
    }
  }
}

uint8_t Rtc::ReadRegister(int64_t now_ns) const {
  const uint8_t register_b = ram_[kRtcRegisterB];
  const CivilTime time = ToCivil(now_ns);
  switch (index_) {
    case kRtcSeconds:
      return Format(time.second, register_b);
    case kRtcMinutes:
      return Format(time.minute, register_b);
    case kRtcHours:
      return FormatHours(time.hour, register_b);
    case kRtcDayOfWeek:
      return Format(time.day_of_week, register_b);
    case kRtcDayOfMonth:
      return Format(time.day_of_month, register_b);
    case kRtcMonth:
      return Format(time.month, register_b);
    case kRtcYear:
      return Format(time.year_of_century, register_b);
    case kRtcCentury:
      return Format(time.century, register_b);
    case kRtcRegisterA:
      return ReadRegisterA(now_ns);
    case kRtcRegisterC:
      return 0;  // No interrupt is ever requested.
    case kRtcRegisterD:
      return kRtcValid;
    default:
      return ram_[index_];
  }
}

uint8_t Rtc::ReadRegisterA(int64_t now_ns) const {
  // While SET is 1 there is no update, and UIP is 0.
  const bool halted = (ram_[kRtcRegisterB] & kRtcSet) != 0;
  const bool updating =
      now_ns % kSecondNanoseconds >= kSecondNanoseconds - kUpdateNanoseconds;
  return ram_[kRtcRegisterA] | (updating && !halted ? kRtcUpdateInProgress : 0);
}

void Rtc::WriteRegister(uint8_t value) {
  switch (index_) {
    case kRtcRegisterA:
      ram_[index_] = value & ~kRtcUpdateInProgress;
      break;
    case kRtcRegisterB:
      ram_[index_] =
          value & (kRtcSet | kRtcBinary | kRtcHours24 | kRtcDaylight);
      break;
    default:
      // Stores under time, C and D are harmless: reads do not look there.
      ram_[index_] = value;
  }
}

}  // namespace annulus::platform
