/* date: the seconds since 1970, by each call that tells them; they must agree. */
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static time_t by_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec;
}

int main(void)
{
	struct timeval tv;
	struct timespec soon;
	time_t first = time(NULL);

	gettimeofday(&tv, NULL);
	if (by_clock(CLOCK_REALTIME_COARSE) < first || tv.tv_sec < first ||
	    by_clock(CLOCK_REALTIME) < tv.tv_sec) {
		printf("FAIL: the calls do not agree\n");
		return 1;
	}
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec++;
	if (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &soon, NULL) ||
	    by_clock(CLOCK_REALTIME) < soon.tv_sec) {
		printf("FAIL: the sleep ends before its time\n");
		return 1;
	}
	printf("date %ld\n", (long)first);
	return 0;
}
