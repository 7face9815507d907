// Asks generated C++ what a test wants to know; numbers on standard input are 32 bits, little-endian.
#include <cstdio>
#include <cstring>
#include <vector>

#include "contract.h"
#include "resample.h"
#include "tensors.h"

using namespace classifier;

namespace {

int number() {
  std::int32_t found = 0;
  return std::fread(&found, sizeof(found), 1, stdin) == 1 ? found : 0;
}

void give(const void* bytes, std::size_t count) { std::fwrite(bytes, 1, count, stdout); }

}  // namespace

int main(int, char** arguments) {
  const char* task = arguments[1];
  if (std::strcmp(task, "labels") == 0) {
    for (const char* label : kLabels) give(label, std::strlen(label) + 1);
  } else if (std::strcmp(task, "enter") == 0) {
    std::vector<std::uint8_t> rgb(3 * kPixels);
    for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i);
    std::vector<std::uint8_t> tensor(bytes_of(kInputType, rgb.size()));
    enter(rgb.data(), tensor.data());
    give(tensor.data(), tensor.size());
  } else if (std::strcmp(task, "leave") == 0) {
    std::vector<std::uint8_t> tensor(bytes_of(kOutputType, kClasses));
    for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<std::uint8_t>(i * 37);
    for (int index = 0; index < kClasses; ++index) {
      const float found = probability(tensor.data(), index);
      give(&found, sizeof(found));
    }
  } else if (std::strcmp(task, "resize") == 0) {
    for (int left = number(); left > 0; --left) {
      const int width = number();
      const int height = number();
      Step step = {number(), 0, Filter::kNearest, Fit::kStretch};
      step.height = number();
      step.filter = static_cast<Filter>(number());
      step.fit = static_cast<Fit>(number());
      Picture picture = {width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(3) * width * height)};
      if (std::fread(picture.rgb.data(), 1, picture.rgb.size(), stdin) != picture.rgb.size()) return 1;
      const Picture found = resized(picture, step);
      give(found.rgb.data(), found.rgb.size());
    }
  }
  return 0;
}
