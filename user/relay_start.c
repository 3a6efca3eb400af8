// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Start and end the relay. It holds a lock on a folder of its own below the pin folder from before
 * it runs until it is gone, so that there is never more than one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "relay.h"

/* Milliseconds that the relay may take to serve, and to end. */
#define START_TIMEOUT_MS 5000
#define END_TIMEOUT_MS	 5000

static int lock_path(const char *pin_folder, char *ret_path, size_t size)
{
	int length = snprintf(ret_path, size, "%s/relay", pin_folder);

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

/* Take the lock. Returns the descriptor that holds it, -EBUSY where a relay has it. */
static int take_lock(const char *pin_folder)
{
	char path[PATH_MAX];
	int fd, r = lock_path(pin_folder, path, sizeof(path));

	if (r)
		return r;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* In the child: become the relay, with nothing of the daemon's but the lock and the pipe. */
static _Noreturn void become_relay(const char *pin_folder, int lock, int answer)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0 &&
	    dup2(answer, STDOUT_FILENO) >= 0 && !close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) &&
	    !fcntl(lock, F_SETFD, 0))
		execl("/proc/self/exe", "sluiced", "--relay", "--pin", pin_folder, (char *)NULL);
	_exit(EXIT_FAILURE);
}

/* Read what the relay says of its start. */
static int await(int answer, char *why, size_t why_size)
{
	struct pollfd readable = { .fd = answer, .events = POLLIN };
	char text[128] = "";
	ssize_t length = -1;

	if (poll(&readable, 1, START_TIMEOUT_MS) == 1)
		length = read(answer, text, sizeof(text) - 1);
	if (length > 0 && !strcmp(text, "ready"))
		return 1;
	snprintf(why, why_size, "The relay that answers refused requests does not start%s%s.",
		 *text ? ": " : "", text);
	return -ECHILD;
}

int relay_ensure(const char *pin_folder, char *why, size_t why_size)
{
	int lock = take_lock(pin_folder);
	int answer[2], r;
	pid_t pid;

	if (lock == -EBUSY)
		return 0;
	if (lock < 0 || pipe2(answer, O_CLOEXEC)) {
		r = lock < 0 ? lock : -errno;
		snprintf(why, why_size, "The relay cannot be started: %s.", strerror(-r));
		if (lock >= 0)
			close(lock);
		return r;
	}
	/* Twice, so that the relay is nobody's child: the daemon comes and goes. */
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid)
			become_relay(pin_folder, lock, answer[1]);
		_exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	close(lock);
	close(answer[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	r = await(answer[0], why, why_size);
	close(answer[0]);
	return r;
}

int relay_remove(const char *pin_folder)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	char path[PATH_MAX];
	int r = lock_path(pin_folder, path, sizeof(path));
	int fd;

	if (r)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = -ETIMEDOUT;
	for (int waited = 0; r && waited < END_TIMEOUT_MS; waited += 5) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			r = rmdir(path) ? -errno : 0;
		if (r == -ETIMEDOUT)
			nanosleep(&pause, NULL);
		else
			break;
	}
	close(fd);
	return r;
}
