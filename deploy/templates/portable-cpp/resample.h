// Pictures to the size of the model, byte for byte as Pillow makes them.
//
// Two passes, along the rows and along the columns; bytes after each; weights of 22 bits behind the point.
// Compile with -ffp-contract=off where the compiler would fuse multiplications and additions otherwise.
#ifndef CLASSIFIER_RESAMPLE_H_
#define CLASSIFIER_RESAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace classifier {

enum class Filter { kNearest, kBilinear, kBicubic, kLanczos };

// kStretch maps the whole picture to the size, kCrop keeps its aspect and cuts the middle out.
enum class Fit { kStretch, kCrop };

struct Step {
  int width;
  int height;
  Filter filter;
  Fit fit;
};

// Upright 8-bit RGB, row by row: rgb holds 3 * width * height bytes.
struct Picture {
  int width;
  int height;
  std::vector<std::uint8_t> rgb;
};

// One step of a resize chain; a picture that has the size already stays as it is.
Picture resized(const Picture& picture, const Step& step);

// All steps, one after the other.
Picture prepared(Picture picture, const Step* steps, std::size_t count);

}  // namespace classifier

#endif  // CLASSIFIER_RESAMPLE_H_
