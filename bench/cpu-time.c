/*
 * Nanoseconds that processes had on a processor, all their threads together, also those that have
 * ended (which /proc/PID/task forgets).
 *
 *     cpu-time PID...
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
  long long sum = 0;
  for (int i = 1; i < argc; i++) {
    struct timespec time;
    clockid_t clock;
    if (clock_getcpuclockid((pid_t)atoi(argv[i]), &clock) != 0 || clock_gettime(clock, &time) < 0) {
      (void)fprintf(stderr, "cpu-time: there is no process %s\n", argv[i]);
      return 1;
    }
    sum += time.tv_sec * 1000000000LL + time.tv_nsec;
  }
  (void)printf("%lld\n", sum);
  return 0;
}
