// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The gate's own answer, sent by the relay: once, whole and for the connection that is owed it; and what
 * becomes of the connection where that fails. The test is the relay, on the bench of the probes.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include <bpf/bpf.h>

#include "../../bpf/conn.bpf.h"
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

/* The first request of the connection. */
#define TURNS 1

static int send_reply_to(uint64_t cookie, uint32_t turns, size_t length)
{
	const struct handoff record = { .cookie = cookie, .number = turns };

	return relay_reply(bench->injecting, bench->deliverer[0], &record, reply, length);
}

static int send_reply(void)
{
	return send_reply_to(bench_cookie(bench), TURNS, reply_length);
}

static void lose(uint32_t turns)
{
	const struct injection injection = { .cookie = bench_cookie(bench),
					     .kind = INJECT_LOST,
					     .number = turns };

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
	(void)state;
	refuse();
	assert_int_equal(send_reply(), 0);
	assert_int_equal(send_reply(), -EPIPE);
	assert_true(bench_relay(bench));
	assert_null(talk_client_reads_refusal(bench, REPLY_IMPLICIT));
	expect_no_more();
	lose(TURNS);
	assert_null(talk_exchange(bench));
	/* Nobody owes one now. */
	assert_int_equal(send_reply(), -EPIPE);
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
	assert_int_equal(send_reply_to(cookie, TURNS, reply_length - 1), -EPIPE);
	assert_int_equal(send_reply_to(cookie + 1, TURNS, reply_length), -EPIPE);
	assert_int_equal(send_reply_to(cookie, TURNS + 1, reply_length), -EPIPE);
	lose(TURNS + 1);
	expect_no_more();
	assert_int_equal(send_reply(), 0);
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

/* Once, too: it is lost to a relay that is killed, and to the next one. */
static void sent_by_programs(void **state)
{
	(void)state;
	refuse();
	lose(TURNS);
	lose(TURNS);
	assert_int_equal(send_reply(), -EPIPE);
	assert_null(talk_client_reads_refusal(bench, REPLY_IMPLICIT));
	expect_no_more();
	lose(TURNS);
	assert_null(talk_exchange(bench));
	finish();
}

/* What can be sent of it is not known. */
static void lost(void **state)
{
	(void)state;
	refuse();
	assert_int_equal(shutdown(bench->server, SHUT_WR), 0);
	assert_int_equal(send_reply(), -EPIPE);
	lose(TURNS);
	expect_broken();
	finish();
}

/* --- an application that has its socket -------------------------------------------------------------- */

/* A page that whoever reads it waits for. */
struct slow_page {
	int faults; /* userfaultfd(2) */
	char *bytes;
	size_t size;
	pthread_t reader;
};

static void slow_page_make(struct slow_page *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	page->size = getpagesize();
	page->faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	assert_true(page->faults >= 0);
	assert_int_equal(ioctl(page->faults, UFFDIO_API, &api), 0);
	page->bytes =
		mmap(NULL, page->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page->bytes != MAP_FAILED);
	range.range = (struct uffdio_range){ .start = (uintptr_t)page->bytes, .len = page->size };
	assert_int_equal(ioctl(page->faults, UFFDIO_REGISTER, &range), 0);
}

/* It is not to be had any more: whoever waits is told EFAULT. */
static void slow_page_take_away(struct slow_page *page)
{
	struct uffdio_range range = { .start = (uintptr_t)page->bytes, .len = page->size };

	assert_int_equal(munmap(page->bytes, page->size), 0);
	ioctl(page->faults, UFFDIO_WAKE, &range);
	close(page->faults);
}

static void *send_slow_page(void *data)
{
	const struct slow_page *page = data;
	ssize_t sent = send(bench->server, page->bytes, page->size, MSG_NOSIGNAL);

	return (void *)(intptr_t)(sent < 0 ? -errno : sent);
}

/* The relay is all connections', and waits for none. */
static void held_up(void **state)
{
	struct slow_page page;
	struct pollfd fault;
	uint64_t begin;
	void *sent;

	(void)state;
	refuse();
	slow_page_make(&page);
	assert_int_equal(pthread_create(&page.reader, NULL, send_slow_page, &page), 0);
	fault = (struct pollfd){ .fd = page.faults, .events = POLLIN };
	assert_int_equal(poll(&fault, 1, BENCH_PATIENCE_MS), 1);
	begin = now_ms();
	assert_int_equal(send_reply(), -EPIPE);
	lose(TURNS);
	assert_in_range(now_ms() - begin, 0, BENCH_PATIENCE_MS / 2);
	slow_page_take_away(&page);
	assert_int_equal(pthread_join(page.reader, &sent), 0);
	assert_true((intptr_t)sent <= 0);
	assert_null(talk_client_reads_refusal(bench, REPLY_IMPLICIT));
	expect_no_more();
	assert_null(talk_exchange(bench));
	finish();
}

/* --- a connection that ends --------------------------------------------------------------------------- */

static bool has_record(uint64_t cookie)
{
	struct conn conn;

	return !bpf_map_lookup_elem(bpf_map__fd(bench->programs->maps.conns), &cookie, &conn);
}

/* The relay's programs are amid a connection's record. */
static void be_at(uint64_t cookie)
{
	const struct delivering delivering = { .at = cookie };
	__u32 zero = 0;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(bench->programs->maps.delivering), &zero,
					     &delivering, BPF_ANY),
			 0);
}

/* What they write must not be in the record of a connection that was made meanwhile. */
static void ends_amid(void **state)
{
	(void)state;
	for (int injected = 0; injected < 2; injected++) {
		struct injection injection = { .kind = INJECT_LOST, .number = TURNS };

		refuse();
		injection.cookie = bench_cookie(bench);
		be_at(injection.cookie);
		close(watch);
		bench_disconnect(bench);
		assert_true(has_record(injection.cookie));
		if (injected)
			assert_int_equal(bench_inject(bench, &injection, NULL, 0), INJECTED_GONE);
		else
			assert_int_equal(send_reply_to(injection.cookie, TURNS, reply_length),
					 -EPIPE);
		assert_false(has_record(injection.cookie));
		bench_close(bench);
	}
}

static bool is_closed(void)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	return !getsockopt(bench->server, IPPROTO_TCP, TCP_INFO, &info, &length) &&
	       info.tcpi_state == TCP_CLOSE;
}

/*
 * It is being removed when they come: the client has reset, and the application has not noticed. Whoever
 * removes it stands still in the midst of that, as far as they can see.
 */
static void ended_before(void **state)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct injection injection = { .kind = INJECT_MORE, .number = 77 };
	struct conn conn;

	(void)state;
	refuse();
	injection.cookie = bench_cookie(bench);
	be_at(injection.cookie);
	setsockopt(bench->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(bench->client);
	bench->client = -1;
	for (int i = 0; i < BENCH_PATIENCE_MS && !is_closed(); i++)
		breathe();
	assert_true(is_closed());
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(bench->programs->maps.conns),
					     &injection.cookie, &conn),
			 0);
	assert_true(conn.closed);
	assert_int_equal(bench_inject(bench, &injection, NULL, 0), INJECTED_GONE);
	assert_false(has_record(injection.cookie));
	finish();
}

/* Nothing stays of one that ends at any other time. */
static void ends_else(void **state)
{
	uint64_t cookie;

	(void)state;
	refuse();
	cookie = bench_cookie(bench);
	be_at(cookie + 1);
	close(watch);
	bench_disconnect(bench);
	assert_false(has_record(cookie));
	bench_close(bench);
}

/* --- the deliverer ------------------------------------------------------------------------------------ */

static bool is_broken(int error)
{
	return relay_deliverer_is_broken(bench->injecting, bench->deliverer[0], error);
}

/* An error of a connection's is not the deliverer's, which all others need. */
static void deliverer(void **state)
{
	__u64 zero = 0;

	(void)state;
	bench = open_bench();
	assert_false(is_broken(-EPIPE));
	assert_false(is_broken(-ECONNRESET));
	assert_true(is_broken(-EBADMSG));
	assert_int_equal(shutdown(bench->deliverer[1], SHUT_RDWR), 0);
	assert_true(is_broken(-EPIPE));
	bench_close(bench);

	refuse();
	assert_false(is_broken(-EACCES));
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(bench->programs->maps.sink), &zero), 0);
	assert_true(is_broken(-EACCES));
	finish();
}

/* What it writes by itself would be taken for the answer. */
static void application_writes(void **state)
{
	(void)state;
	refuse();
	assert_int_equal(send(bench->server, reply, reply_length, MSG_NOSIGNAL), -1);
	assert_int_equal(send_reply(), -EPIPE);
	expect_no_more();
	finish();
}

static const struct promise promises[] = {
	{ "the relay's answer goes out once, and the connection goes on", once, ONCE },
	{ "one that is not whole, or for another connection, does not", nothing_else, ONCE },
	{ "one that the relay cannot send is sent without it", sent_by_programs, ONCE },
	{ "one of which a part may be out ends the connection", lost, ONCE },
	{ "an application that has its socket does not hold up the relay", held_up, ONCE },
	{ "a record stays that the relay's programs are at, and no longer", ends_amid, ONCE },
	{ "they leave alone the one of a connection that has ended", ended_before, ONCE },
	{ "no other record stays", ends_else, ONCE },
	{ "what becomes of one connection does not break the deliverer", deliverer, ONCE },
	{ "the application writes nothing in its place", application_writes, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
