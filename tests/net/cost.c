// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the gate costs, from /proc. */
#include "cost.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

static size_t count_files(pid_t pid)
{
	char path[64];
	size_t count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Add the cost of a process. */
static void add_cost(struct cost *cost, pid_t pid)
{
	unsigned long user = 0, system = 0, pages = 0;
	char path[64];
	FILE *file;

	assert_true(pid > 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system),
			 2);
	fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
	fclose(file);
	cost->cpu_ms += (user + system) * 1000 / sysconf(_SC_CLK_TCK);
	cost->rss_kib += pages * (sysconf(_SC_PAGESIZE) / 1024);
	cost->files += count_files(pid);
}

static uint64_t kernel_kib(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %llu", &kib);
	fclose(file);
	return kib;
}

struct cost cost_of_gate(void)
{
	struct cost cost = { .slab_kib = kernel_kib("SUnreclaim") };

	add_cost(&cost, daemon_pid);
	add_cost(&cost, process_find("sluiced-relay"));
	return cost;
}
