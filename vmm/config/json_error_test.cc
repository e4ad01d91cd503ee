#include "vmm/config/json_error.h"

#include <string>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(JsonErrorTest, CaretNearTheStartBecomesLineAndColumn) {
  const JsonError error =
      ExplainJsonError("Expected : here.\n{\n\"a\" 1}\n      ^", "{\n\"a\" 1}");
  EXPECT_EQ(error.place, ":2:5");
  EXPECT_EQ(error.reason, "Expected : here.");
}

TEST(JsonErrorTest, CaretFarFromTheStartIsFoundByItsQuotation) {
  const std::string text =
      std::string(100, ' ') + "\n{\"abcdefghijklmnopq\" 1}";
  const std::string quoted = "\"abcdefghijklmnopq\" 1}";
  const JsonError error = ExplainJsonError(
      "Reason.\n" + quoted + "\n" + std::string(20, ' ') + "^", text);
  EXPECT_EQ(error.place, ":2:22");
}

TEST(JsonErrorTest, QuotationThatOccursTwiceGivesNoPlace) {
  const std::string quoted(40, 'x');
  const JsonError error =
      ExplainJsonError("Reason.\n" + quoted + "\n" + std::string(20, ' ') + "^",
                       quoted + "y" + quoted);
  EXPECT_EQ(error.place, "");
  EXPECT_EQ(error.reason, "Reason. Near: " + quoted);
}

TEST(JsonErrorTest, EmptyQuotationMeansTheEndOfTheText) {
  EXPECT_EQ(ExplainJsonError("Unexpected end.\n\n^", "{\n").place, ":2:1");
  EXPECT_EQ(ExplainJsonError("Unexpected end.\n\n^", "").place, ":1:1");
}

TEST(JsonErrorTest, CaretBeyondTheTextGivesNoPlace) {
  const JsonError error = ExplainJsonError("Reason.\nx\n         ^", "x");
  EXPECT_EQ(error.place, "");
}

TEST(JsonErrorTest, PathInParenthesesBecomesTheField) {
  const JsonError error = ExplainJsonError(
      "(cpu.count): invalid value \"x\" for type TYPE_UINT32", "");
  EXPECT_EQ(error.place, ": cpu.count");
  EXPECT_EQ(error.reason, "invalid value \"x\" for type uint32");
}

TEST(JsonErrorTest, UnknownFieldIsNamedWithItsPath) {
  const JsonError error =
      ExplainJsonError("(rng[1].virtio) foo: Cannot find field.", "");
  EXPECT_EQ(error.place, ": rng[1].virtio.foo");
  EXPECT_EQ(error.reason, "no such field");
}

TEST(JsonErrorTest, BareColonMeansNoField) {
  const JsonError error = ExplainJsonError(": reason", "");
  EXPECT_EQ(error.place, "");
  EXPECT_EQ(error.reason, "reason");
}

TEST(JsonErrorTest, AnythingElseIsPassedOn) {
  for (const char* message :
       {"", "^", "\n^", "\n\n^", "(", "(a", "()", "odd"}) {
    const JsonError error = ExplainJsonError(message, "text");
    EXPECT_LE(error.reason.size(), std::string(message).size()) << message;
  }
  EXPECT_EQ(ExplainJsonError("odd", "").reason, "odd");
}

}  // namespace
}  // namespace annulus
