/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The event loop. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

int loop_open(struct loop *ret_loop)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_loop = (struct loop){ .epoll_fd = fd };
	return 0;
}

void loop_close(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_add_descriptor(struct loop *loop, struct loop_source *ret_source, int fd,
			loop_callback *callback, void *data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = ret_source };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	*ret_source = (struct loop_source){
		.fd = fd,
		.kind = LOOP_DESCRIPTOR,
		.callback = callback,
		.data = data,
	};
	return 0;
}

/* As loop_add_descriptor(), for a descriptor that the loop opened and will close. */
static int add_own(struct loop *loop, struct loop_source *ret_source, int fd, enum loop_kind kind,
		   loop_callback *callback, void *data)
{
	int r;

	if (fd < 0)
		return -errno;
	r = loop_add_descriptor(loop, ret_source, fd, callback, data);
	if (r) {
		close(fd);
		return r;
	}
	ret_source->kind = kind;
	return 0;
}

int loop_add_timer(struct loop *loop, struct loop_source *ret_source, loop_callback *callback,
		   void *data)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	return add_own(loop, ret_source, fd, LOOP_TIMER, callback, data);
}

static struct timespec from_ms(uint64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

int loop_set_timer(const struct loop_source *timer, uint64_t delay_ms, uint64_t period_ms)
{
	struct itimerspec when = { .it_value = from_ms(delay_ms),
				   .it_interval = from_ms(period_ms) };

	/* timerfd_settime() takes a value of zero for "unset". */
	if (delay_ms == 0)
		when.it_value.tv_nsec = 1;
	return timerfd_settime(timer->fd, 0, &when, NULL) ? -errno : 0;
}

int loop_set_timer_at(const struct loop_source *timer, uint64_t when_us)
{
	struct itimerspec when = { .it_value = { .tv_sec = when_us / 1000000,
						 .tv_nsec = when_us % 1000000 * 1000 + 1 } };

	return timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &when, NULL) ? -errno : 0;
}

int loop_stop_timer(const struct loop_source *timer)
{
	return timerfd_settime(timer->fd, 0, &(struct itimerspec){ 0 }, NULL) ? -errno : 0;
}

int loop_add_signals(struct loop *loop, struct loop_source *ret_source, int first, int second,
		     loop_callback *callback, void *data)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, first);
	if (second)
		sigaddset(&signals, second);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return -errno;
	return add_own(loop, ret_source, signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC),
		       LOOP_SIGNALS, callback, data);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	if (source->kind != LOOP_DESCRIPTOR)
		close(source->fd);
	*source = LOOP_SOURCE_NONE;
}

/* Take from a source of the loop's own what made it readable. False: nothing was there. */
static bool drain(const struct loop_source *source)
{
	struct signalfd_siginfo signal_info;
	uint64_t expirations;

	switch (source->kind) {
	case LOOP_TIMER:
		return read(source->fd, &expirations, sizeof(expirations)) > 0;
	case LOOP_SIGNALS:
		return read(source->fd, &signal_info, sizeof(signal_info)) > 0;
	case LOOP_DESCRIPTOR:
		break;
	}
	return true;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		/* One event at a time: no callback can leave a removed source in a list behind it. */
		struct loop_source *source;
		struct epoll_event event;
		int n = epoll_wait(loop->epoll_fd, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 1)
			continue;
		source = event.data.ptr;
		if (drain(source))
			source->callback(source->data);
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
