// classify PICTURE.ppm...: the five most probable labels of each picture.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <numeric>
#include <vector>

#include "classifier.h"
#include "contract.h"
#include "ppm.h"

int main(int count, char** arguments) {
  using namespace classifier;
  if (count < 2) {
    std::fprintf(stderr, "usage: %s PICTURE.ppm...\n", arguments[0]);
    return 2;
  }
  try {
    Classifier model(MODEL_PATH);
    for (int picture = 1; picture < count; ++picture) {
      const std::vector<float> found = model.probabilities(read_ppm(arguments[picture]));
      std::vector<int> order(found.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return found[a] > found[b]; });
      std::printf("%s", arguments[picture]);
      for (std::size_t rank = 0; rank < 5 && rank < order.size(); ++rank) {
        std::printf("\t%s %.4f", kLabels[order[rank]], found[order[rank]]);
      }
      std::printf("\n");
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
