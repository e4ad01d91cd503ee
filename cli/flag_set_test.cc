#include "cli/flag_set.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

class FlagSetTest : public testing::Test {
 protected:
  FlagSetTest() {
    flags_.AddValue("cpus", "N", "How many.", [this](absl::string_view value) {
      if (value == "bad") return absl::InvalidArgumentError("is bad");
      cpus_ = std::string(value);
      return absl::OkStatus();
    });
    flags_.AddSwitch("verbose", 'v', "Say more.\nMuch more.",
                     [this](bool on) { verbose_ = on; });
  }

  absl::StatusOr<std::vector<std::string>> Parse(
      std::initializer_list<absl::string_view> arguments) {
    return flags_.Parse(Arguments(arguments.begin(), arguments.size()));
  }

  std::string Error(std::initializer_list<absl::string_view> arguments) {
    const auto result = Parse(arguments);
    if (result.ok()) return "";
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  }

  std::string cpus_;
  bool verbose_ = false;
  FlagSet flags_{"annulus x", "Does x."};
};

TEST_F(FlagSetTest, ValueFollowsOrIsAppended) {
  EXPECT_TRUE(Parse({"--cpus", "2"}).ok());
  EXPECT_EQ(cpus_, "2");
  EXPECT_TRUE(Parse({"--cpus=3"}).ok());
  EXPECT_EQ(cpus_, "3");
  EXPECT_TRUE(Parse({"--cpus="}).ok());
  EXPECT_EQ(cpus_, "");
  EXPECT_TRUE(Parse({"--cpus", "--verbose"}).ok());
  EXPECT_EQ(cpus_, "--verbose");
  EXPECT_FALSE(verbose_);
  EXPECT_TRUE(Parse({"--cpus=a=b"}).ok());
  EXPECT_EQ(cpus_, "a=b");
}

TEST_F(FlagSetTest, LastOfARepeatedFlagWins) {
  EXPECT_TRUE(Parse({"--cpus", "2", "--cpus", "3"}).ok());
  EXPECT_EQ(cpus_, "3");
}

TEST_F(FlagSetTest, SwitchHasANegationAndAShortName) {
  EXPECT_TRUE(Parse({"--verbose"}).ok());
  EXPECT_TRUE(verbose_);
  EXPECT_TRUE(Parse({"--no-verbose"}).ok());
  EXPECT_FALSE(verbose_);
  EXPECT_TRUE(Parse({"-v"}).ok());
  EXPECT_TRUE(verbose_);
  EXPECT_TRUE(Parse({"--verbose=false"}).ok());
  EXPECT_FALSE(verbose_);
  EXPECT_TRUE(Parse({"--verbose=true"}).ok());
  EXPECT_TRUE(verbose_);
}

TEST_F(FlagSetTest, OtherArgumentsAreReturnedInOrder) {
  const auto rest = Parse({"a", "-v", "-", "--", "--cpus", "-x"});
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(*rest, (std::vector<std::string>{"a", "-", "--cpus", "-x"}));
  EXPECT_EQ(cpus_, "");
}

TEST_F(FlagSetTest, ErrorsNameTheFlag) {
  EXPECT_EQ(Error({"--cpus"}), "--cpus: needs a value N");
  EXPECT_EQ(Error({"--cpus", "bad"}), "--cpus: is bad");
  EXPECT_EQ(Error({"--verbose=1"}), "--verbose: takes no value");
  EXPECT_EQ(Error({"--no-verbose=true"}), "--no-verbose: takes no value");
}

TEST_F(FlagSetTest, UnknownFlagComesWithTheNearest) {
  EXPECT_EQ(Error({"--cpu", "2"}), "unknown flag --cpu; did you mean --cpus?");
  EXPECT_EQ(Error({"--no-verbos"}),
            "unknown flag --no-verbos; did you mean --verbose?");
  EXPECT_EQ(Error({"--hlep"}), "unknown flag --hlep; did you mean --help?");
  EXPECT_EQ(Error({"--memory=secret"}), "unknown flag --memory");
  EXPECT_EQ(Error({"--no-cpus"}),
            "unknown flag --no-cpus; did you mean --cpus?");
  EXPECT_EQ(Error({"-x"}), "unknown flag -x");
  EXPECT_EQ(Error({"-vv"}), "unknown flag -vv");
  EXPECT_EQ(Error({"---"}), "unknown flag ---");
  EXPECT_EQ(Error({"--a\nb"}), "unknown flag --a\\nb");
}

TEST_F(FlagSetTest, HelpWinsOverWhatFollows) {
  EXPECT_TRUE(Parse({"--help", "--nonsense"}).ok());
  EXPECT_TRUE(flags_.help_requested());
}

TEST_F(FlagSetTest, HelpShowsEveryFlagAndSection) {
  flags_.AddHelpSection("Examples:\n  annulus x\n");
  EXPECT_EQ(flags_.Help(),
            "Usage: annulus x\n\n"
            "Does x.\n\n"
            "Flags:\n"
            "  --cpus N\n"
            "      How many.\n"
            "  --verbose, -v\n"
            "      Say more.\n"
            "      Much more.\n\n"
            "Examples:\n  annulus x\n");
}

}  // namespace
}  // namespace annulus::cli
