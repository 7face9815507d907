// The golden examples on the device: link with the other files and TFLite Micro; status 0 where the answers are right.
#include <cmath>
#include <cstdio>

#include "golden_data.h"
#include "micro_classifier.h"
#include "tensors.h"

int main() {
  using namespace classifier;
  if (!begin()) {
    std::printf("The model does not load: is the arena of %lu bytes too small?\n",
                static_cast<unsigned long>(kArenaBytes));
    return 1;
  }
  double distance = 0.0;
  for (int example = 0; example < kGoldenCount; ++example) {
    const void* given = run(kGoldenPixels[example]);
    if (given == nullptr) return 1;
    std::printf("%s\n", kLabels[best(given)]);
    for (int index = 0; index < kClasses; ++index) {
      distance += std::fabs(probability(given, index) - kGoldenOutputs[example][index]) / 2;
    }
  }
  distance /= kGoldenCount;
  std::printf("distance %.4f of at most %.4f, arena %lu bytes\n", distance, kTolerance,
              static_cast<unsigned long>(arena_used()));
  return distance <= kTolerance ? 0 : 1;
}
