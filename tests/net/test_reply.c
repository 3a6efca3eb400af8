// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The gate's own answer, sent by the relay: once, whole and for the connection that is owed it; and what
 * becomes of the connection where that fails. The test is the relay, on the bench of the probes.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_stage.h"
#include "harness.h"
#include "probe_talk.h"
#include "relay_sockets.h"

static struct bench *bench;
static int watch = -1;
static uint8_t reply[REPLY_SIZE];
static size_t reply_length;

/* A request was refused, and the relay is to answer: somebody polls the socket, and must not be woken. */
static void refuse(void)
{
	const struct owed owed = { .reply = REPLY_NO_KEY * REPLY_CONNECTIONS + REPLY_IMPLICIT };
	struct epoll_event event = { .events = EPOLLIN };

	bench = open_bench();
	assert_null(find_probe("sink")->check(bench));
	assert_null(talk_connect(bench, NULL));
	watch = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(epoll_ctl(watch, EPOLL_CTL_ADD, bench->server, &event), 0);
	assert_null(talk_send_refused(bench));
	assert_null(talk_await_judged(bench));
	assert_int_equal(epoll_wait(watch, &event, 1, 0), 0);
	reply_length = replies_write(&bench->replies, &owed, now_ms(), reply);
	assert_true(reply_length);
}

static void finish(void)
{
	close(watch);
	bench_close(bench);
}

static int send_reply(uint64_t cookie, size_t length)
{
	return relay_reply(bench->injecting, bench->deliverer[0], cookie, reply, length);
}

static void lose(void)
{
	const struct injection injection = { .cookie = bench_cookie(bench), .kind = INJECT_LOST };

	assert_int_equal(bench_inject(bench, &injection, NULL, 0), INJECTED_TAKEN);
}

static void expect_no_more(void)
{
	char byte;

	bench_breathe();
	assert_int_equal(recv(bench->client, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* As a relay would that was killed behind the first, and the next one, which finds the record again. */
static void once(void **state)
{
	uint64_t cookie;

	(void)state;
	refuse();
	cookie = bench_cookie(bench);
	assert_int_equal(send_reply(cookie, reply_length), 0);
	assert_int_equal(send_reply(cookie, reply_length), -EPIPE);
	assert_true(bench_relay(bench));
	assert_null(talk_client_reads_refusal(bench, REPLY_IMPLICIT));
	expect_no_more();
	lose();
	assert_null(talk_exchange(bench));
	/* Nobody owes one now. */
	assert_int_equal(send_reply(cookie, reply_length), -EPIPE);
	expect_no_more();
	assert_null(talk_exchange(bench));
	finish();
}

static void nothing_else(void **state)
{
	uint64_t cookie;

	(void)state;
	refuse();
	cookie = bench_cookie(bench);
	assert_int_equal(send_reply(cookie, reply_length - 1), -EPIPE);
	assert_int_equal(send_reply(cookie + 1, reply_length), -EPIPE);
	expect_no_more();
	assert_int_equal(send_reply(cookie, reply_length), 0);
	assert_null(talk_client_reads_refusal(bench, REPLY_IMPLICIT));
	assert_null(talk_exchange(bench));
	finish();
}

static void expect_broken(void)
{
	socklen_t length = sizeof(int);
	int error = 0;

	assert_true(bench_await(bench->server, POLLERR));
	assert_int_equal(getsockopt(bench->server, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	assert_int_equal(error, EPIPE);
}

static void lost(void **state)
{
	(void)state;
	refuse();
	lose();
	expect_broken();
	assert_int_equal(send_reply(bench_cookie(bench), reply_length), -EPIPE);
	expect_no_more();
	finish();
}

/* What it writes by itself would be taken for the answer. */
static void application_writes(void **state)
{
	(void)state;
	refuse();
	assert_int_equal(send(bench->server, reply, reply_length, MSG_NOSIGNAL), -1);
	assert_int_equal(send_reply(bench_cookie(bench), reply_length), -EPIPE);
	expect_no_more();
	finish();
}

static const struct promise promises[] = {
	{ "the relay's answer goes out once, and the connection goes on", once, ONCE },
	{ "one that is not whole, or for another connection, does not", nothing_else, ONCE },
	{ "where it is lost, the connection ends", lost, ONCE },
	{ "the application writes nothing in its place", application_writes, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
