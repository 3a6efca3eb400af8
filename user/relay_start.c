// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Start and end the relay. It holds a lock on a folder of its own below the pin folder from before
 * it runs until it is gone, so that there is never more than one. Only the daemon that holds the pin
 * folder's own lock comes here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
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
#include "relay_hand.h"
#include "util.h"

/* What it is to have none. */
#define WITHOUT "The application is woken for refused requests."

/* Milliseconds that the relay may take to serve, and to end. */
#define START_TIMEOUT_MS 5000
#define END_TIMEOUT_MS	 5000

/* The folder that is locked, and the one in it that asks its holder to end. */
#define LOCK	  "relay"
#define LOCK_QUIT "relay/quit"

static int path_of(const char *pin_folder, const char *name, char *ret_path, size_t size)
{
	int length = snprintf(ret_path, size, "%s/%s", pin_folder, name);

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int remove_folder(const char *pin_folder, const char *name)
{
	char path[PATH_MAX];
	int r = path_of(pin_folder, name, path, sizeof(path));

	return !r && rmdir(path) && errno != ENOENT ? -errno : r;
}

/* Ask the relay to end no longer. */
static int withdraw(const char *pin_folder)
{
	int r = relay_hand_withdraw(pin_folder);

	return r ? r : remove_folder(pin_folder, LOCK_QUIT);
}

static int open_lock(const char *pin_folder)
{
	char path[PATH_MAX];
	int r = path_of(pin_folder, LOCK, path, sizeof(path));
	int fd = r ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (r)
		return r;
	return fd < 0 ? -errno : fd;
}

static int try_lock(int fd)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

/* Take the lock. Returns the descriptor that holds it, -EBUSY where a relay has it. */
static int take_lock(const char *pin_folder)
{
	char path[PATH_MAX];
	int fd, r = path_of(pin_folder, LOCK, path, sizeof(path));

	if (r)
		return r;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open_lock(pin_folder);
	if (fd < 0)
		return fd;
	r = try_lock(fd);
	if (!r) /* a daemon that was killed may have left it */
		r = withdraw(pin_folder);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

bool relay_holds_lock(const char *pin_folder, int fd)
{
	int lock = open_lock(pin_folder);
	struct stat held, wanted;
	bool same = lock >= 0 && !fstat(lock, &wanted) && !fstat(fd, &held) &&
		    held.st_dev == wanted.st_dev && held.st_ino == wanted.st_ino;

	if (lock >= 0)
		close(lock);
	return same && !try_lock(fd);
}

/*
 * In the child: become the relay, with nothing of the daemon's but the lock, as standard input,
 * the pipe, as standard output, and what the former relay handed over on, as standard error.
 */
static _Noreturn void become_relay(const char *pin_folder, int lock, int answer, int former)
{
	int error = former >= 0 ? former : open("/dev/null", O_RDWR | O_CLOEXEC);

	if (error >= 0 && dup2(lock, STDIN_FILENO) >= 0 && dup2(error, STDERR_FILENO) >= 0 &&
	    dup2(answer, STDOUT_FILENO) >= 0 && !close_range(3, ~0U, CLOSE_RANGE_CLOEXEC))
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
	snprintf(why, why_size,
		 "The relay that answers refused requests does not start%s%s. " WITHOUT,
		 *text ? ": " : "", text);
	return -ECHILD;
}

/*
 * Start a relay unless one runs, as relay_ensure().
 *
 * former	the connection that the one before handed over on; -1: it did not
 */
static int start(const char *pin_folder, int former, char *why, size_t why_size)
{
	int lock = take_lock(pin_folder);
	int answer[2], r;
	pid_t pid;

	if (lock == -EBUSY)
		return 0;
	if (lock < 0 || pipe2(answer, O_CLOEXEC)) {
		r = lock < 0 ? lock : -errno;
		snprintf(why, why_size, "The relay cannot be started: %s. " WITHOUT, strerror(-r));
		if (lock >= 0)
			close(lock);
		return r;
	}
	/* Relays are all the children this process has; one that ended has let go of the lock. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	pid = fork();
	if (!pid)
		become_relay(pin_folder, lock, answer[1], former);
	close(lock);
	close(answer[1]);
	r = await(answer[0], why, why_size);
	close(answer[0]);
	if (r < 0 && pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r;
}

int relay_ensure(const char *pin_folder, char *why, size_t why_size)
{
	return start(pin_folder, -1, why, why_size);
}

/* Wait until the lock can be had, and take it. */
static int await_lock(int fd)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	int r = try_lock(fd);

	for (int waited = 0; r == -EBUSY && waited < END_TIMEOUT_MS; waited += 5) {
		nanosleep(&pause, NULL);
		r = try_lock(fd);
	}
	return r == -EBUSY ? -ETIMEDOUT : r;
}

bool relay_should_quit(const char *pin_folder)
{
	char path[PATH_MAX];

	return !path_of(pin_folder, LOCK_QUIT, path, sizeof(path)) && !access(path, F_OK);
}

/*
 * Ask the relay to end, and wait for it. Where it does not, it is no longer asked.
 *
 * ret_former	the connection that it handed over on; -1: it did not
 */
static int end_running(const char *pin_folder, const char *state_folder, int *ret_former)
{
	_cleanup_close_ int lock = open_lock(pin_folder), listener = -1;
	char path[PATH_MAX];
	int r = path_of(pin_folder, LOCK_QUIT, path, sizeof(path));

	*ret_former = -1;
	if (lock < 0)
		return lock == -ENOENT ? 0 : lock;
	if (!r)
		listener = relay_hand_listen(pin_folder, state_folder);
	if (!r && mkdir(path, 0700) && errno != EEXIST)
		r = -errno;
	if (!r)
		r = await_lock(lock);
	withdraw(pin_folder);
	if (!r && listener >= 0)
		*ret_former = relay_hand_accept(listener);
	return r;
}

int relay_replace(const char *pin_folder, const char *state_folder, char *why, size_t why_size)
{
	_cleanup_close_ int former = -1;
	int r = end_running(pin_folder, state_folder, &former);

	if (!r)
		return start(pin_folder, former, why, why_size);
	snprintf(why, why_size,
		 "The relay that a former daemon started does not end: %s. It goes on until it "
		 "does.",
		 strerror(-r));
	return -EBUSY;
}

int relay_remove(const char *pin_folder)
{
	int fd = open_lock(pin_folder);
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = await_lock(fd);
	if (!r)
		r = withdraw(pin_folder);
	if (!r)
		r = remove_folder(pin_folder, LOCK);
	close(fd);
	return r;
}
