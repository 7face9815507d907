// What a sketch calls of an Arduino: enough to compile, not to run.
#pragma once
#include <cmath>

struct SerialPort {
  void begin(unsigned long speed);
  void println(const char* text);
  void print(const char* text);
  void println(float value, int digits);
  explicit operator bool() const;
};
extern SerialPort Serial;
void delay(unsigned long milliseconds);
