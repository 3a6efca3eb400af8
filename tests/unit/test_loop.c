/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The event loop, the watch over the clock, and the claim on a port. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "claim.h"
#include "clock.h"
#include "loop.h"
#include "util.h"

struct scene {
	struct loop loop;
	struct loop_source first, second, guard;
	int pipe[2];
	int calls;
	bool timed_out;
};

/* No wait is without bound: a test that hangs ends here. */
static void give_up(void *data)
{
	struct scene *scene = data;

	scene->timed_out = true;
	loop_stop(&scene->loop);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	assert_int_equal(loop_open(&scene->loop), 0);
	assert_int_equal(pipe(scene->pipe), 0);
	scene->first = scene->second = LOOP_SOURCE_NONE;
	assert_int_equal(loop_add_timer(&scene->loop, &scene->guard, give_up, scene), 0);
	assert_int_equal(loop_set_timer(&scene->guard, 10000, 0), 0);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	loop_remove(&scene->loop, &scene->first);
	loop_remove(&scene->loop, &scene->second);
	loop_remove(&scene->loop, &scene->guard);
	loop_close(&scene->loop);
	close(scene->pipe[0]);
	close(scene->pipe[1]);
	free(scene);
	return 0;
}

static void run(struct scene *scene)
{
	assert_int_equal(loop_run(&scene->loop), 0);
	assert_false(scene->timed_out);
}

static void count_and_stop(void *data)
{
	struct scene *scene = data;

	scene->calls++;
	loop_stop(&scene->loop);
}

static void test_descriptor(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(loop_add_descriptor(&scene->loop, &scene->first, scene->pipe[0],
					     count_and_stop, scene),
			 0);
	assert_int_equal(write(scene->pipe[1], "x", 1), 1);
	run(scene);
	assert_int_equal(scene->calls, 1);
	loop_remove(&scene->loop, &scene->first);
	assert_int_equal(scene->first.fd, -1);
	/* It was not closed. */
	assert_int_equal(write(scene->pipe[1], "x", 1), 1);
}

static void count_to_three(void *data)
{
	struct scene *scene = data;

	if (++scene->calls == 3)
		loop_stop(&scene->loop);
}

static void test_period(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(loop_add_timer(&scene->loop, &scene->first, count_to_three, scene), 0);
	assert_int_equal(loop_set_timer(&scene->first, 0, 1), 0);
	run(scene);
	assert_int_equal(scene->calls, 3);
}

static void test_stopped_timer(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(loop_add_timer(&scene->loop, &scene->first, count_to_three, scene), 0);
	assert_int_equal(loop_add_timer(&scene->loop, &scene->second, count_and_stop, scene), 0);
	assert_int_equal(loop_set_timer(&scene->first, 1, 1), 0);
	assert_int_equal(loop_stop_timer(&scene->first), 0);
	assert_int_equal(loop_set_timer(&scene->second, 20, 0), 0);
	run(scene);
	assert_int_equal(scene->calls, 1);
}

/* Whichever of two sources that are ready at once comes first removes the other. */
static void remove_other(void *data)
{
	struct scene *scene = data;

	scene->calls++;
	loop_remove(&scene->loop, &scene->first);
	loop_remove(&scene->loop, &scene->second);
	loop_set_timer(&scene->guard, 20, 0);
}

static void test_removal_while_ready(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(loop_add_descriptor(&scene->loop, &scene->first, scene->pipe[0],
					     remove_other, scene),
			 0);
	assert_int_equal(loop_add_timer(&scene->loop, &scene->second, remove_other, scene), 0);
	assert_int_equal(write(scene->pipe[1], "x", 1), 1);
	assert_int_equal(loop_set_timer(&scene->second, 0, 0), 0);
	assert_int_equal(loop_run(&scene->loop), 0);
	assert_int_equal(scene->calls, 1);
}

static void expect_signal_stops(struct scene *scene, int signal)
{
	sigset_t before;

	sigprocmask(SIG_BLOCK, NULL, &before);
	assert_int_equal(loop_add_signals(&scene->loop, &scene->first, SIGUSR1, signal,
					  count_and_stop, scene),
			 0);
	raise(signal);
	run(scene);
	assert_int_equal(scene->calls, 1);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void test_sigterm(void **state)
{
	expect_signal_stops(*state, SIGTERM);
}

static void test_sigint(void **state)
{
	expect_signal_stops(*state, SIGINT);
}

static void test_sighup(void **state)
{
	expect_signal_stops(*state, SIGHUP);
}

/* The kernel's own clocks are the reference. Reading them takes time: tried until they agree. */
static void test_tai_offset(void **state)
{
	uint64_t offset_ns;
	int64_t measured = -1;

	(void)state;
	assert_int_equal(clock_tai_offset(&offset_ns), 0);
	assert_int_equal(offset_ns % 1000000000, 0);
	for (int i = 0; i < 100 && measured != (int64_t)offset_ns / 1000000000; i++) {
		struct timespec tai, utc;

		clock_gettime(CLOCK_REALTIME, &utc);
		clock_gettime(CLOCK_TAI, &tai);
		measured = tai.tv_sec - utc.tv_sec;
	}
	assert_int_equal(measured, offset_ns / 1000000000);
}

/* Setting the clock is no test's to do: this is the half that can be seen without. */
static void test_clock_watch(void **state)
{
	struct scene *scene = *state;
	struct clock_watch watch;

	assert_int_equal(clock_watch_start(&watch, &scene->loop, count_to_three, scene), 0);
	assert_int_equal(loop_add_timer(&scene->loop, &scene->first, count_and_stop, scene), 0);
	assert_int_equal(loop_set_timer(&scene->first, 20, 0), 0);
	run(scene);
	assert_int_equal(scene->calls, 1);
	clock_watch_stop(&watch, &scene->loop);
	assert_int_equal(watch.source.fd, -1);
}

static void test_claim(void **state)
{
	struct claims claims = { 0 }, others = { 0 };
	char why[256] = "", expected[64];

	(void)state;
	assert_int_equal(claim_port(&claims, 1, why, sizeof(why)), 0);
	assert_int_equal(claim_port(&claims, 1, why, sizeof(why)), 0);
	assert_int_equal(claims.count, 1);
	assert_int_equal(claim_port(&others, 1, why, sizeof(why)), -EADDRINUSE);
	assert_false(claim_holds(&others, 1));
	snprintf(expected, sizeof(expected), "already protected by another sluiced (pid %d)",
		 getpid());
	assert_non_null(strstr(why, expected));
	claim_drop(&claims, 2);
	assert_true(claim_holds(&claims, 1));
	claim_drop(&claims, 1);
	assert_int_equal(claim_port(&others, 1, why, sizeof(why)), 0);
	claim_drop(&others, 1);
}

/* Whoever likes can connect, and does. */
static void test_claim_crowded(void **state)
{
	enum { CALLERS = 100 };
	static const char name[] = "\0sluice-port-3";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct claims claims = { 0 }, others = { 0 };
	int fds[CALLERS];
	char why[256] = "";

	(void)state;
	memcpy(address.sun_path, name, sizeof(name) - 1);
	assert_int_equal(claim_port(&claims, 3, why, sizeof(why)), 0);
	for (int i = 0; i < CALLERS; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fds[i], (const struct sockaddr *)&address,
			offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1);
	}
	claims_tick(&claims);
	assert_int_equal(claim_port(&others, 3, why, sizeof(why)), -EADDRINUSE);
	for (int i = 0; i < CALLERS; i++)
		close(fds[i]);
	claim_drop(&claims, 3);
}

/* In a child: claim the port as another user and hold it until the parent hangs up. */
static void squat(int ready, int until)
{
	struct claims claims = { 0 };
	char why[256], byte = 'x';

	if (setuid(65534) || claim_port(&claims, 2, why, sizeof(why)) ||
	    write(ready, &byte, 1) != 1)
		_exit(1);
	(void)!read(until, &byte, 1);
	_exit(0);
}

static void test_squatter(void **state)
{
	struct claims claims = { 0 };
	int ready[2], until[2];
	char why[256], byte;
	pid_t child;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(until), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(until[1]);
		squat(ready[1], until[0]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(claim_port(&claims, 2, why, sizeof(why)), 0);
	claim_drop(&claims, 2);
	close(until[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(until[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a readable descriptor calls back and stays the caller's", test_descriptor),
		ROW("a timer comes at once and then in its period", test_period),
		ROW("a stopped timer does not come", test_stopped_timer),
		ROW("a source removed while it is ready is not called", test_removal_while_ready),
		ROW("SIGTERM reaches the loop", test_sigterm),
		ROW("SIGINT reaches the loop", test_sigint),
		ROW("SIGHUP reaches the loop", test_sighup),
		ROW("the TAI offset is what the clocks are apart", test_tai_offset),
		ROW("a clock that nobody sets is not reported as set", test_clock_watch),
		ROW("a port is claimed once, and the other daemon is named", test_claim),
		ROW("so it is where others crowd before the claim", test_claim_crowded),
		ROW("another user's claim keeps no daemon from starting", test_squatter),
	};

	/* Claims are a network namespace's: away from those of daemons that run here. */
	(void)!unshare(CLONE_NEWNET);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
