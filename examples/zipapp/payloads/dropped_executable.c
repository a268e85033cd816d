/* Prints a line: that it runs at all, although it is not part of the image, is the point. */
#include <stdio.h>
int main(void) {
  puts("{\"call\":\"execve\",\"errno\":0,\"note\":\"hello from a dropped executable\"}");
  return 0;
}
