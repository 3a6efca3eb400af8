// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Send requests at a fixed rate, one every so many nanoseconds, and print figures as
 * "name<TAB>number".
 *
 *	pace PORT FILE SIZE RATE SECONDS	FILE holds the requests, SIZE bytes each
 *
 * A request's time runs from when it was due until its answer is there, so one that had to wait for
 * a connection is charged for that, too. The processor is not given up in between: to be woken up
 * takes longer than what is measured. Debian has no such program: wrk sends as fast as it can,
 * h2load's --rps sends each connection's requests of a tenth of a second in one go, httperf and hey
 * tell no finer times than 1 and 0.1 ms.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 32
#define ANSWER_MAX  16384
#define SECOND	    1000000000ULL /* in nanoseconds, as all times here */
#define PATIENCE    SECOND	  /* for the last answers */

struct connection {
	int fd;
	uint64_t due; /* when the request was that is under way */
	size_t used;
	char answer[ANSWER_MAX + 1];
};

/* What is sent: requests of one size each, in turn. */
struct requests {
	const char *texts;
	size_t size, count, next;
};

/* Connections that are free, the one that waits longest first. */
struct queue {
	struct connection *free[CONNECTIONS];
	size_t first, count;
};

struct figures {
	uint64_t *times; /* of the answered requests */
	size_t answered, refused, room;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static void queue_put(struct queue *queue, struct connection *connection)
{
	queue->free[(queue->first + queue->count++) % CONNECTIONS] = connection;
}

static struct connection *queue_take(struct queue *queue)
{
	struct connection *connection = queue->free[queue->first];

	queue->first = (queue->first + 1) % CONNECTIONS;
	queue->count--;
	return connection;
}

static void read_requests(struct requests *requests, const char *path, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat file;

	if (fd < 0 || fstat(fd, &file))
		err(1, "%s", path);
	requests->size = size;
	requests->count = file.st_size / size;
	requests->texts = mmap(NULL, file.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (requests->texts == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
}

static void open_connection(struct connection *connection, int port, int epoll)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event))
		err(1, "port %d", port);
}

static void send_next(struct requests *requests, struct connection *connection, uint64_t due)
{
	const char *text = requests->texts + requests->next * requests->size;

	requests->next = (requests->next + 1) % requests->count;
	connection->due = due;
	connection->used = 0;
	if (send(connection->fd, text, requests->size, MSG_NOSIGNAL) != (ssize_t)requests->size)
		err(1, "send");
}

/* Is the answer there, all of it? */
static int complete(const struct connection *connection)
{
	const char *end = strstr(connection->answer, "\r\n\r\n"), *length;

	if (!end)
		return 0;
	length = strcasestr(connection->answer, "\r\nContent-Length:");
	if (!length || length > end)
		errx(1, "an answer without a length: %s", connection->answer);
	return connection->used >= end + 4 - connection->answer + strtoul(length + 17, NULL, 10);
}

/* Read what has come; whether the connection is free again. */
static int receive(struct connection *connection, struct figures *figures)
{
	ssize_t got = recv(connection->fd, connection->answer + connection->used,
			   ANSWER_MAX - connection->used, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got <= 0)
		errx(1, "a connection ended");
	connection->used += got;
	connection->answer[connection->used] = '\0';
	if (!complete(connection))
		return 0;
	figures->refused += strncmp(connection->answer, "HTTP/1.1 2", 10) != 0;
	figures->times[figures->answered++] = now() - connection->due;
	return 1;
}

/* Send from now on, one each period, and wait for what is under way when the time is over. */
static void run(struct requests *requests, struct queue *queue, int epoll, uint64_t period,
		struct figures *figures)
{
	uint64_t start = now(), end = start + figures->room * period, sent = 0;
	struct epoll_event events[CONNECTIONS];
	uint64_t time;
	int n;

	while ((time = now()) < end || (queue->count < CONNECTIONS && time < end + PATIENCE)) {
		while (queue->count && sent < figures->room && start + sent * period <= time &&
		       time < end) {
			send_next(requests, queue_take(queue), start + sent * period);
			sent++;
		}
		n = epoll_wait(epoll, events, CONNECTIONS, 0);
		while (n-- > 0) {
			if (receive(events[n].data.ptr, figures))
				queue_put(queue, events[n].data.ptr);
		}
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print(const struct figures *figures)
{
	const uint64_t *times = figures->times;
	size_t count = figures->answered;

	if (!count)
		errx(1, "no answer came");
	qsort(figures->times, count, sizeof(*times), by_size);
	printf("due\t%zu\nrequests\t%zu\nrefused\t%zu\n", figures->room, count, figures->refused);
	printf("p50\t%.1f\np99\t%.1f\n", times[count / 2] / 1e3, times[count * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	static struct connection connections[CONNECTIONS];
	struct requests requests = { 0 };
	struct queue queue = { 0 };
	struct figures figures = { 0 };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	double rate;

	if (argc != 6)
		errx(2, "usage: pace PORT FILE SIZE RATE SECONDS");
	read_requests(&requests, argv[2], strtoul(argv[3], NULL, 10));
	rate = strtod(argv[4], NULL);
	figures.room = rate * strtod(argv[5], NULL);
	figures.times = calloc(figures.room, sizeof(*figures.times));
	if (!figures.times)
		err(1, "memory");
	for (int i = 0; i < CONNECTIONS; i++) {
		open_connection(&connections[i], atoi(argv[1]), epoll);
		queue_put(&queue, &connections[i]);
	}
	run(&requests, &queue, epoll, SECOND / rate, &figures);
	print(&figures);
	return 0;
}
