/* Preloaded into a process, sets its wall clock to the seconds in FAULTS_EPOCH and lets it run on.
   Other clocks, and what waits on them, stay as they are. (libfaketime takes a sleep until a
   monotonic time, which Python's is, for one until a date, and sleeps for decades.) */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset;

static int real(clockid_t clock, struct timespec *now) {
  return syscall(SYS_clock_gettime, clock, now);
}

__attribute__((constructor)) static void start(void) {
  struct timespec now;
  real(CLOCK_REALTIME, &now);
  offset = atoll(getenv("FAULTS_EPOCH")) - now.tv_sec;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += offset;
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *to) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to) *to = now.tv_sec;
  return now.tv_sec;
}
