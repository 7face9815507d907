#include "tensors.h"

#include <algorithm>
#include <cmath>

namespace classifier {
namespace {

int quantised(int byte) {
  const int lowest = kInputType == Type::kInt8 ? -128 : 0;
  // To the nearest, halves to even.
  const int value = static_cast<int>(std::nearbyint(byte / kInputScale)) + kInputZeroPoint;
  return std::min(lowest + 255, std::max(lowest, value));
}

}  // namespace

void enter(const std::uint8_t* rgb, void* tensor) {
  for (std::size_t i = 0; i < 3 * kPixels; ++i) {
    if (kInputType == Type::kFloat32) {
      static_cast<float*>(tensor)[i] = rgb[i];
    } else if (kInputType == Type::kInt8) {
      static_cast<std::int8_t*>(tensor)[i] = static_cast<std::int8_t>(quantised(rgb[i]));
    } else {
      static_cast<std::uint8_t*>(tensor)[i] = static_cast<std::uint8_t>(quantised(rgb[i]));
    }
  }
}

float probability(const void* tensor, int index) {
  if (kOutputType == Type::kFloat32) return static_cast<const float*>(tensor)[index];
  const int value = kOutputType == Type::kInt8 ? static_cast<const std::int8_t*>(tensor)[index]
                                               : static_cast<const std::uint8_t*>(tensor)[index];
  return static_cast<float>(value - kOutputZeroPoint) * static_cast<float>(kOutputScale);
}

int best(const void* tensor) {
  int found = 0;
  for (int index = 1; index < kClasses; ++index) {
    if (probability(tensor, index) > probability(tensor, found)) found = index;
  }
  return found;
}

}  // namespace classifier
