// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The relay at work. relay_start.c starts and ends it. */
#include "relay.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "log.h"
#include "loop.h"
#include "packets.h"
#include "privileges.h"
#include "relay_change.h"
#include "relay_hand.h"
#include "relay_sockets.h"
#include "replies.h"
#include "streams.h"
#include "util.h"

/* The folder whose lock is standard input; one that is made in it asks the relay to end. */
#define LOCK_PATH "/proc/self/fd/0"
/* Records taken before what follows from them is done. */
#define ROUND 1024
/*
 * Answers in a round that make it a crowd; and nanoseconds that more are waited for then. Each that comes
 * alone costs a wake-up. Clients of which there are fewer wait for no others.
 */
#define CROWD	 4
#define CROWD_NS 100000
/*
 * Bytes of memory that what the kernel has not dealt with yet may take, of bytes to be judged. There
 * is room for the rest besides: an answer and an end for each connection there can be.
 */
#define INJECTED_BYTES_MAX STREAM_BYTES_MAX
#define INJECTOR_BUFFER	   (INT_MAX / 2) /* which the kernel doubles */

struct relay {
	struct loop loop;
	struct loop_source records;
	struct loop_source folder;
	struct loop_source timer;
	bool is_set; /* the timer */
	const char *pin_folder;
	char absolute[PATH_MAX]; /* it, from the root */
	struct ring_buffer *handoff;
	struct injecting *injecting; /* the map's element */
	int injector[2];	     /* 0 is written to; 1 is in the map */
	int sink[2];		     /* 0 is in the map; 1 is its peer */
	int deliverer[2];	     /* likewise */
	unsigned taken;		     /* records in this round */
	unsigned answers;	     /* likewise, of HANDOFF_REPLY */
	struct streams streams;
	struct packets packets;
	struct replies replies;
	struct relay_hand former; /* what the relay before this one handed over */
};

static int open_pin(const struct relay *relay, const char *name)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/%s", relay->pin_folder, name);
	int fd;

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int put_socket(const struct relay *relay, const char *map, int socket)
{
	__u64 zero = 0, value = socket;
	int fd = open_pin(relay, map);
	int r;

	if (fd < 0)
		return fd;
	r = bpf_map_update_elem(fd, &zero, &value, BPF_ANY) ? -errno : 0;
	close(fd);
	return r;
}

/* Whether the kernel has dealt with so much that there is room for bytes. */
static bool may_inject_bytes(const struct relay *relay)
{
	int queued;

	return !ioctl(relay->injector[0], SIOCOUTQ, &queued) && queued < (int)INJECTED_BYTES_MAX;
}

/*
 * Whether something was sent on the deliverer. It was lost to one connection, or will be to all: then this
 * relay does nothing more, and another has to do better.
 */
static bool is_sent(struct relay *relay, int r)
{
	if (r && relay_deliverer_is_broken(relay->injecting, relay->deliverer[0], r))
		loop_stop(&relay->loop);
	return !r;
}

/* Give the application what was judged. */
static void deliver(struct relay *relay, size_t length)
{
	int r = relay_deliver(relay->injector[1], relay->deliverer[0], length);

	relay->injecting->result = is_sent(relay, r) ? INJECTED_TAKEN : INJECTED_LOST;
}

/*
 * Tell the injector's program something that goes without bytes. There is always room for it. Before the
 * record that asks for it is done with: a relay that is killed leaves it to the next one.
 */
static void tell(struct relay *relay, enum injection_kind kind, uint64_t cookie, uint32_t number)
{
	const struct injection injection = { .cookie = cookie, .kind = kind, .number = number };

	/* It fails where the connection has ended. */
	send(relay->injector[0], &injection, sizeof(injection), MSG_DONTWAIT);
}

/* Send the gate's own answer. */
static void reply(struct relay *relay, const struct handoff *record)
{
	uint8_t bytes[REPLY_SIZE];
	size_t length = 0;

	if (record->length == sizeof(struct owed))
		length = replies_write(&relay->replies, (const struct owed *)(record + 1), now_ms(),
				       bytes);
	if (!length || !is_sent(relay, relay_reply(relay->injecting, relay->deliverer[0], record,
						   bytes, length)))
		tell(relay, INJECT_LOST, record->cookie, record->number);
}

/* The program behind the injector has run when the datagram is sent. */
static int inject(void *data, const struct injection *injection, const void *bytes, size_t length,
		  struct injecting *ret_injected)
{
	struct relay *relay = data;
	ssize_t sent;

	if (relay->loop.stopped)
		return -ECANCELED;
	if (bytes && !may_inject_bytes(relay))
		return -EAGAIN;
	relay->injecting->bytes = bytes ? *injection : (struct injection){ 0 };
	relay->injecting->result = INJECTED_GONE;
	relay->injecting->number = 0;
	if (!bytes)
		length = sizeof(*injection);
	/* A system call stands between what is written here and what the program reads. */
	sent = send(relay->injector[0], bytes ? bytes : injection, length, MSG_DONTWAIT);
	relay->injecting->bytes.kind = 0;
	if (relay->injecting->result == INJECTED_PASS)
		deliver(relay, length);
	*ret_injected = *relay->injecting;
	return sent < 0 ? -errno : 0;
}

/* Returns nonzero where there is enough to do before more is taken. */
static int on_record(void *data, void *bytes, size_t size)
{
	const struct handoff *record = bytes;
	struct relay *relay = data;

	if (size < sizeof(*record) || record->length > size - sizeof(*record))
		return 0;
	switch (record->kind) {
	case HANDOFF_REPLY:
		reply(relay, record);
		relay->answers++;
		break;
	case HANDOFF_ANSWER:
		tell(relay, INJECT_ANSWER, record->cookie, 0);
		break;
	case HANDOFF_PACKET: /* the client repeats what fails here */
		packets_resend(&relay->packets, (const uint8_t *)(record + 1), record->length,
			       record->number);
		break;
	case HANDOFF_PROBE:
		if (record->length == sizeof(struct probe))
			packets_probe(&relay->packets, (const struct probe *)(record + 1));
		break;
	default:
		streams_take(&relay->streams, record, monotonic_us());
		break;
	}
	return ++relay->taken >= ROUND || relay->loop.stopped ? -EINTR : 0;
}

static void run_streams(void *data)
{
	struct relay *relay = data;
	uint64_t next = streams_run(&relay->streams, monotonic_us());

	if (next != UINT64_MAX)
		loop_set_timer_at(&relay->timer, next);
	else if (relay->is_set)
		loop_stop_timer(&relay->timer);
	relay->is_set = next != UINT64_MAX;
}

/* Take a round of records. Returns whether there may be more. */
static bool take_records(struct relay *relay)
{
	int r;

	relay->taken = relay->answers = 0;
	r = ring_buffer__consume(relay->handoff);
	run_streams(relay);
	return r == -EINTR && !relay->loop.stopped;
}

/*
 * There are records; where more are left than a round takes, epoll_wait(2) tells of them at once, and of
 * what else there is to do. It asks once more for what it told of last before it sleeps, and is told of
 * those that are reserved, too; what comes behind that wakes the relay, as it is not `awake` then.
 */
static void on_records(void *data)
{
	static const struct timespec crowd = { .tv_nsec = CROWD_NS };
	struct relay *relay = data;

	__atomic_store_n(&relay->injecting->awake, 1, __ATOMIC_RELAXED);
	if (!take_records(relay) && relay->answers >= CROWD)
		nanosleep(&crowd, NULL);
	__atomic_store_n(&relay->injecting->awake, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void adopt_orphans(struct relay *relay)
{
	int conns = open_pin(relay, "conns");

	if (conns < 0)
		return;
	relay_adopt(&relay->streams, conns);
	close(conns);
}

/* Something was unpinned, and without its maps the gate is down; or another relay is to take over. */
static void on_folder(void *data)
{
	struct relay *relay = data;
	char events[4096];
	int fd;

	if (read(relay->folder.fd, events, sizeof(events)) < 0 && errno != EAGAIN)
		loop_stop(&relay->loop);
	fd = open_pin(relay, "handoff");
	if (fd < 0)
		loop_stop(&relay->loop);
	else
		close(fd);
	if (!relay->loop.stopped && relay_should_quit(relay->pin_folder)) {
		relay_hand_over(&relay->streams, relay->sink, relay->pin_folder);
		loop_stop(&relay->loop);
	}
}

/* Whether this is what the gate's programs redirect to. */
static bool is_the_sink(const struct relay *relay, int sink)
{
	int fd = open_pin(relay, "sink");
	__u64 zero = 0, in_map = 0, cookie = 0;
	socklen_t size = sizeof(cookie);
	bool is = fd >= 0 && !bpf_map_lookup_elem(fd, &zero, &in_map) &&
		  !getsockopt(sink, SOL_SOCKET, SO_COOKIE, &cookie, &size) && cookie == in_map;

	if (fd >= 0)
		close(fd);
	return is;
}

/*
 * Have a sink: the one that was taken over, with which the application was not woken meanwhile, or a
 * new one. The first buffer that is sent through that fails, and the kernel takes no more for it.
 */
static int open_sink(struct relay *relay)
{
	int r;

	if (relay->former.sink[0] >= 0 && is_the_sink(relay, relay->former.sink[0])) {
		memcpy(relay->sink, relay->former.sink, sizeof(relay->sink));
		relay->former.sink[0] = relay->former.sink[1] = -1;
		return 0;
	}
	r = relay_socket_pair(relay->sink);
	if (!r)
		r = put_socket(relay, "sink", relay->sink[0]);
	if (!r && shutdown(relay->sink[0], SHUT_WR))
		r = -errno;
	if (r)
		return r;
	tell(relay, INJECT_SINK, 0, 0);
	return relay_sink_await_broken(relay->sink[0]);
}

static int open_injector(struct relay *relay)
{
	const int size = INJECTOR_BUFFER;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, relay->injector) ||
	    setsockopt(relay->injector[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		return -errno;
	return put_socket(relay, "injectors", relay->injector[1]);
}

static int open_deliverer(struct relay *relay)
{
	int r = relay_socket_pair(relay->deliverer);

	return r ? r : put_socket(relay, "deliverers", relay->deliverer[0]);
}

static int open_records(struct relay *relay)
{
	int fd = open_pin(relay, "handoff");
	int r;

	if (fd < 0)
		return fd;
	relay->handoff = ring_buffer__new(fd, on_record, relay, NULL);
	r = relay->handoff ? 0 : -errno;
	close(fd);
	if (!r)
		r = loop_add_timer(&relay->loop, &relay->timer, run_streams, relay);
	return r ? r
		 : loop_add_descriptor(&relay->loop, &relay->records,
				       ring_buffer__epoll_fd(relay->handoff), on_records, relay);
}

static int map_injecting(struct relay *relay)
{
	int fd = open_pin(relay, "injecting");
	void *element;

	if (fd < 0)
		return fd;
	element = mmap(NULL, sizeof(*relay->injecting), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (element == MAP_FAILED)
		return -errno;
	relay->injecting = element;
	/* The relay before this one may have been killed awake, amid an answer or amid bytes. */
	relay->injecting->reply_to = 0;
	relay->injecting->bytes.kind = 0;
	__atomic_store_n(&relay->injecting->awake, 0, __ATOMIC_SEQ_CST);
	return 0;
}

static int watch_folder(struct relay *relay)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0 ||
	    inotify_add_watch(fd, relay->pin_folder, IN_DELETE | IN_DELETE_SELF | IN_UNMOUNT) < 0 ||
	    inotify_add_watch(fd, LOCK_PATH, IN_CREATE) < 0)
		return -errno;
	return loop_add_descriptor(&relay->loop, &relay->folder, fd, on_folder, relay);
}

/*
 * Let go of what the daemon was started with. A session of its own keeps a Ctrl-C for the daemon
 * from the relay; the signals that end the relay were blocked in the daemon.
 */
static int settle(struct relay *relay)
{
	sigset_t none;

	if (!realpath(relay->pin_folder, relay->absolute) || chdir("/"))
		return -errno;
	relay->pin_folder = relay->absolute;
	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "sluiced-relay");
	/* Sleep for no longer than is asked for. */
	prctl(PR_SET_TIMERSLACK, 1);
	/* Keys pass through this process' memory. */
	return privileges_hide_memory();
}

/* What the relay before this one handed over came as standard error, relay_start.c. */
static int receive(struct relay *relay)
{
	relay_hand_receive(STDERR_FILENO, &relay->former);
	return freopen("/dev/null", "w", stderr) ? 0 : -errno;
}

static int begin_loop(struct relay *relay)
{
	return loop_open(&relay->loop);
}

static int render(struct relay *relay)
{
	return replies_render(&relay->replies);
}

static int open_packets(struct relay *relay)
{
	return packets_open(&relay->packets);
}

/* All that takes a capability is open by now. */
static int drop_privileges(struct relay *relay)
{
	char why[256];

	(void)relay;
	return privileges_limit(0, 0, why, sizeof(why));
}

/* Tell the daemon that waits, and let go of the pipe to it. */
static int tell_daemon(int r)
{
	if (r == -ENETDOWN)
		printf("loopback (lo) is down in this network namespace");
	else
		printf("%s", r ? strerror(-r) : "ready");
	fflush(stdout);
	return freopen("/dev/null", "w", stdout) || r ? r : -errno;
}

static int (*const start_steps[])(struct relay *relay) = {
	settle,	      receive,	     render,	begin_loop,	watch_folder, map_injecting,
	open_packets, open_injector, open_sink, open_deliverer, open_records, drop_privileges,
};

static int start(struct relay *relay)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(start_steps); i++)
		r = start_steps[i](relay);
	return tell_daemon(r);
}

static int serve(struct relay *relay)
{
	relay_take_over(&relay->streams, &relay->former);
	/* What came before there was a relay, and before it watched. */
	while (take_records(relay))
		;
	adopt_orphans(relay);
	run_streams(relay);
	on_folder(relay);
	return loop_run(&relay->loop);
}

/* The sockets stay open until the process ends: the kernel's tables let go of them then. */
static void close_all(struct relay *relay)
{
	loop_remove(&relay->loop, &relay->records);
	loop_remove(&relay->loop, &relay->folder);
	loop_remove(&relay->loop, &relay->timer);
	streams_clear(&relay->streams);
	packets_close(&relay->packets);
	relay_hand_close(&relay->former);
	loop_close(&relay->loop);
	ring_buffer__free(relay->handoff);
}

int relay_run(const char *pin_folder)
{
	struct relay relay = { .loop.epoll_fd = -1,
			       .pin_folder = pin_folder,
			       .records = LOOP_SOURCE_NONE,
			       .folder = LOOP_SOURCE_NONE,
			       .timer = LOOP_SOURCE_NONE,
			       .packets = PACKETS_NONE,
			       .former = RELAY_HAND_NONE };
	int r;

	if (!relay_holds_lock(pin_folder, STDIN_FILENO)) {
		log_error("The relay is started by the daemon, not by hand.");
		return -EPERM;
	}
	streams_init(&relay.streams, inject, &relay);
	r = start(&relay);
	if (!r)
		r = serve(&relay);
	close_all(&relay);
	return r;
}
