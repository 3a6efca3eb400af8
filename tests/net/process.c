// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Child processes, files and time for the tests. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_LINES 60
#define MINUTE_MS   60000ull
#define DAY_MS	    (24 * 60 * MINUTE_MS)

void sleep_until_ms(uint64_t instant_ms)
{
	struct timespec instant = { .tv_sec = instant_ms / 1000,
				    .tv_nsec = instant_ms % 1000 * 1000000 };

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &instant, NULL) == EINTR)
		;
}

bool full_run(void)
{
	const char *value = getenv("TESTS_FULL");

	return value && !strcmp(value, "1");
}

bool emulated(void)
{
	return getenv("TESTS_EMULATED") != NULL;
}

bool kernel_is(unsigned int major, unsigned int minor)
{
	unsigned int running_major, running_minor;
	struct utsname kernel;

	assert_int_equal(uname(&kernel), 0);
	assert_int_equal(sscanf(kernel.release, "%u.%u", &running_major, &running_minor), 2);
	return running_major != major ? running_major > major : running_minor >= minor;
}

void breathe(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

void need_window_ms(uint64_t ms)
{
	uint64_t now = now_ms();
	uint64_t minute_left = MINUTE_MS - now % MINUTE_MS;

	/* The next minute holds ms in any case, and midnight ends a minute too. */
	if (minute_left < ms || DAY_MS - now % DAY_MS < ms)
		sleep_until_ms(now + minute_left);
}

pid_t process_start(const char *log, char *const argv[])
{
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("ASAN_OPTIONS", "detect_leaks=1:exitcode=99", 1);
	setenv("UBSAN_OPTIONS", "print_stacktrace=1:exitcode=99", 1);
	if (log) {
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(126);
	}
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

int process_stop(pid_t pid, int signal)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	bool late;
	int status;

	if (fd < 0)
		return -errno;
	kill(pid, signal);
	late = poll(&ended, 1, PATIENCE_MS) != 1;
	close(fd);
	if (late)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return late ? -ETIMEDOUT : status;
}

bool process_runs(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static bool has_name(pid_t pid, const char *name)
{
	char path[64], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(text, sizeof(text), file))
		text[strcspn(text, "\n")] = '\0';
	fclose(file);
	return !strcmp(text, name);
}

pid_t process_find(const char *name)
{
	char path[sizeof(stage.cgroup) + 16];
	pid_t found = 0;
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", stage.cgroup);
	file = fopen(path, "re");
	assert_non_null(file);
	while (!found && fscanf(file, "%d", &pid) == 1)
		if (has_name(pid, name))
			found = pid;
	fclose(file);
	return found;
}

static uint64_t task_wakeups(pid_t pid, const char *task)
{
	const char *label = "\nvoluntary_ctxt_switches:";
	char path[64], text[4096] = "";
	const char *place;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid, task);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fread(text, 1, sizeof(text) - 1, file))
		text[0] = '\0';
	fclose(file);
	place = strstr(text, label);
	return place ? strtoull(place + strlen(label), NULL, 10) : 0;
}

uint64_t process_own_wakeups(pid_t pid)
{
	struct dirent *entry;
	uint64_t sum = 0;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			sum += task_wakeups(pid, entry->d_name);
	if (tasks)
		closedir(tasks);
	return sum;
}

uint64_t process_wakeups(pid_t pid)
{
	uint64_t sum = process_own_wakeups(pid);
	char path[64];
	FILE *file;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &child) == 1)
		sum += process_wakeups(child);
	if (file)
		fclose(file);
	return sum;
}

uint64_t process_settled_wakeups(pid_t pid)
{
	uint64_t last, now = process_wakeups(pid);

	do {
		last = now;
		for (int i = 0; i < 25; i++)
			breathe();
		now = process_wakeups(pid);
	} while (now != last);
	return now;
}

char *read_file(const char *path, size_t *ret_length)
{
	size_t size = 0, length = 0, got;
	FILE *file = fopen(path, "re");
	char *data = NULL;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	do {
		size = size * 2 + 65536;
		data = realloc(data, size + 1);
		assert_non_null(data);
		got = fread(data + length, 1, size - length, file);
		length += got;
	} while (length == size);
	data[length] = '\0';
	fclose(file);
	if (ret_length)
		*ret_length = length;
	return data;
}

void show_file(const char *path)
{
	size_t skip = count_lines(path, "");
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return;
	printf("# --- %s\n", path);
	skip = skip > SHOWN_LINES ? skip - SHOWN_LINES : 0;
	while (getline(&line, &size, file) > 0)
		if (skip)
			skip--;
		else
			printf("# %s", line);
	free(line);
	fclose(file);
}

size_t count_lines(const char *path, const char *text)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0, count = 0;

	if (!file)
		return 0;
	while (getline(&line, &size, file) > 0)
		count += strstr(line, text) != NULL;
	free(line);
	fclose(file);
	return count;
}

bool holds(const void *data, size_t size, const char *text)
{
	return memmem(data, size, text, strlen(text)) != NULL;
}

/* nftw(3) passes no pointer along. */
static void (*visit_file)(const char *path, void *data);
static void *visit_data;

static int visit_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_F && S_ISREG(info->st_mode))
		visit_file(path, visit_data);
	return 0;
}

void each_file(const char *folder, void (*visit)(const char *path, void *data), void *data)
{
	visit_file = visit;
	visit_data = data;
	assert_int_equal(nftw(folder, visit_entry, 16, FTW_PHYS | FTW_MOUNT), 0);
}
