/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TAI offset, and noticing that the clock was set. */
#include <errno.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

int clock_tai_offset(uint64_t *ret_ns)
{
	struct timex clock = { .modes = 0 };

	/* The state it returns (TIME_ERROR where nobody synchronises the clock) does not matter. */
	if (adjtimex(&clock) < 0)
		return -errno;
	*ret_ns = (uint64_t)clock.tai * 1000000000;
	return 0;
}

/* Arm a timer so far away that only a change of the clock makes it readable (timerfd_create(2)). */
static int arm(int fd)
{
	struct itimerspec never = { 0 };

	clock_gettime(CLOCK_REALTIME, &never.it_value);
	never.it_value.tv_sec += INT32_MAX;
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL))
		return -errno;
	return 0;
}

static void clock_was_set(void *data)
{
	struct clock_watch *watch = data;
	uint64_t expirations;

	/* Fails with ECANCELED, which is the news. */
	if (read(watch->source.fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN)
		return;
	arm(watch->source.fd);
	watch->callback(watch->data);
}

int clock_watch_start(struct clock_watch *ret_watch, struct loop *loop, loop_callback *callback,
		      void *data)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = arm(fd);
	if (!r)
		r = loop_add_descriptor(loop, &ret_watch->source, fd, clock_was_set, ret_watch);
	if (r) {
		close(fd);
		return r;
	}
	ret_watch->callback = callback;
	ret_watch->data = data;
	return 0;
}

void clock_watch_stop(struct clock_watch *watch, struct loop *loop)
{
	int fd = watch->source.fd;

	if (fd < 0)
		return;
	loop_remove(loop, &watch->source);
	close(fd);
}
