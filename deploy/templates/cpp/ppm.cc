#include "ppm.h"

#include <fstream>
#include <limits>
#include <stdexcept>

namespace classifier {
namespace {

// The next number of the header; comments run from # to the end of a line.
int number(std::istream& file) {
  while (file >> std::ws && file.peek() == '#') file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  int found = 0;
  file >> found;
  return found;
}

}  // namespace

Picture read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char mark[2] = {};
  file.read(mark, 2);
  const int width = number(file);
  const int height = number(file);
  const int largest = number(file);
  file.get();  // one blank ends the header
  constexpr int kLargestSide = 1 << 15;
  if (!file || mark[0] != 'P' || mark[1] != '6' || largest != 255 || width < 1 || height < 1 || width > kLargestSide ||
      height > kLargestSide) {
    throw std::runtime_error(path + " is no PPM file (P6, 8 bits a channel)");
  }
  Picture found = {width, height, {}};
  found.rgb.resize(static_cast<std::size_t>(3) * width * height);
  file.read(reinterpret_cast<char*>(found.rgb.data()), static_cast<std::streamsize>(found.rgb.size()));
  if (!file) throw std::runtime_error(path + " ends too early");
  return found;
}

}  // namespace classifier
