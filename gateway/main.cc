#include "gateway/cli/command_line.h"

int main(int argc, char** argv) {
  return postern::cli::run(argc, argv);
}
