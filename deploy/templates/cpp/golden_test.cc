// The golden examples of the model file: the same pixels to the byte, and answers within the tolerance.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "classifier.h"
#include "contract.h"
#include "ppm.h"

namespace {

std::string fnv1a(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t found = 0xcbf29ce484222325u;
  for (std::uint8_t byte : bytes) found = (found ^ byte) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(found));
  return text;
}

int test() {
  using namespace classifier;
  Classifier model(MODEL_PATH);
  std::ifstream table(GOLDEN_FOLDER "/expected.txt");
  int examples = 0;
  int wrong_pixels = 0;
  double distance = 0.0;
  for (std::string line; std::getline(table, line); ++examples) {
    std::istringstream row(line);
    std::string name;
    std::string sha256;
    std::string hash;
    row >> name >> sha256 >> hash;
    const Picture picture = read_ppm(GOLDEN_FOLDER "/" + name + ".ppm");
    if (fnv1a(prepared(picture, kSteps, kStepCount).rgb) != hash) {
      std::printf("%s: other pixels\n", name.c_str());
      ++wrong_pixels;
    }
    for (float found : model.probabilities(picture)) {
      double expected = 0.0;
      row >> expected;
      distance += std::fabs(found - expected) / 2;
    }
  }
  if (examples == 0) return 1;
  distance /= examples;
  std::printf("%d examples, %d with other pixels, distance %.6f of at most %.6f\n", examples, wrong_pixels, distance,
              kTolerance);
  return wrong_pixels == 0 && distance <= kTolerance ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return test();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
