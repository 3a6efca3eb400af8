/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's event loop: one thread, one epoll, callbacks.
 *
 * A source belongs to the caller, who keeps it in place until loop_remove(). Callbacks may add and
 * remove any source, their own included. Functions return 0 or a negative errno.
 */
#ifndef SLUICE_LOOP_H
#define SLUICE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

typedef void loop_callback(void *data);

struct loop {
	int epoll_fd;
	bool stopped;
};

enum loop_kind {
	LOOP_DESCRIPTOR, /* not read by the loop, not closed by it */
	LOOP_TIMER,
	LOOP_SIGNALS,
};

struct loop_source {
	int fd;
	enum loop_kind kind;
	loop_callback *callback;
	void *data;
};

/* An unused source: loop_remove() leaves it alone. */
#define LOOP_SOURCE_NONE ((struct loop_source){ .fd = -1 })

int loop_open(struct loop *ret_loop);
void loop_close(struct loop *loop);

/* Call callback whenever fd is readable. fd stays the caller's. */
int loop_add_descriptor(struct loop *loop, struct loop_source *ret_source, int fd,
			loop_callback *callback, void *data);

/* Add a timer that is not set yet; loop_set_timer() sets it. It runs on CLOCK_MONOTONIC. */
int loop_add_timer(struct loop *loop, struct loop_source *ret_source, loop_callback *callback,
		   void *data);

/*
 * Call back once in delay_ms milliseconds (0: in the next round) and, where period_ms is not 0,
 * every period_ms from then on. Replaces what the timer was set to. loop_stop_timer() unsets it.
 */
int loop_set_timer(const struct loop_source *timer, uint64_t delay_ms, uint64_t period_ms);
int loop_stop_timer(const struct loop_source *timer);

/* Call back once at when_us microseconds of CLOCK_MONOTONIC, at once where that is over. */
int loop_set_timer_at(const struct loop_source *timer, uint64_t when_us);

/* Block a signal, and a second one where that is not 0, and call callback when one of them comes. */
int loop_add_signals(struct loop *loop, struct loop_source *ret_source, int first, int second,
		     loop_callback *callback, void *data);

/* Take a source out, close what the loop opened for it, and make it LOOP_SOURCE_NONE. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Run until loop_stop(). */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
