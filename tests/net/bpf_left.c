// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The machine's BPF objects are walked by their numbers: other programs' come and go meanwhile. */
#include "bpf_left.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define PROGRAM_MAPS_MAX 64

static bool has(const uint32_t *numbers, size_t count, uint32_t number)
{
	for (size_t i = 0; i < count; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static void add(uint32_t *numbers, size_t *count, uint32_t number)
{
	if (has(numbers, *count, number))
		return;
	assert_true(*count < BPF_LEFT_MAX);
	numbers[(*count)++] = number;
}

static void add_pinned_maps(struct bpf_objects *objects)
{
	DIR *folder = opendir(stage.pins);
	struct dirent *entry;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info);
		char path[400];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", stage.pins, entry->d_name);
		if (!strncmp(entry->d_name, "link_", 5) || entry->d_type == DT_DIR)
			continue;
		fd = bpf_obj_get(path);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
		add(objects->maps, &objects->map_count, info.id);
		close(fd);
	}
	closedir(folder);
}

/* The maps of a program. Returns how many; 0 where it is gone. */
static uint32_t maps_of(uint32_t program, uint32_t ret_maps[PROGRAM_MAPS_MAX])
{
	struct bpf_prog_info info = { .nr_map_ids = PROGRAM_MAPS_MAX,
				      .map_ids = (uintptr_t)ret_maps };
	uint32_t size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		info.nr_map_ids = 0;
	close(fd);
	return info.nr_map_ids < PROGRAM_MAPS_MAX ? info.nr_map_ids : PROGRAM_MAPS_MAX;
}

static bool uses(const struct bpf_objects *objects, const uint32_t *maps, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (has(objects->maps, objects->map_count, maps[i]))
			return true;
	return false;
}

static void add_programs(struct bpf_objects *objects)
{
	uint32_t maps[PROGRAM_MAPS_MAX], count, number = 0;

	while (!bpf_prog_get_next_id(number, &number)) {
		count = maps_of(number, maps);
		if (!uses(objects, maps, count))
			continue;
		add(objects->programs, &objects->program_count, number);
		for (uint32_t i = 0; i < count; i++)
			add(objects->maps, &objects->map_count, maps[i]);
	}
}

static void add_links(struct bpf_objects *objects)
{
	uint32_t number = 0;

	while (!bpf_link_get_next_id(number, &number)) {
		struct bpf_link_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_link_get_fd_by_id(number);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &size) &&
		    has(objects->programs, objects->program_count, info.prog_id))
			add(objects->links, &objects->link_count, number);
		close(fd);
	}
}

void bpf_objects_find(struct bpf_objects *ret_objects)
{
	*ret_objects = (struct bpf_objects){ .map_count = 0 };
	add_pinned_maps(ret_objects);
	add_programs(ret_objects);
	add_links(ret_objects);
}

/* How many of them exist. */
static size_t count_left(const struct bpf_objects *objects)
{
	uint32_t maps[PROGRAM_MAPS_MAX], number;
	size_t left = 0;

	for (number = 0; !bpf_map_get_next_id(number, &number);)
		left += has(objects->maps, objects->map_count, number);
	for (number = 0; !bpf_prog_get_next_id(number, &number);)
		left += has(objects->programs, objects->program_count, number) ||
			uses(objects, maps, maps_of(number, maps));
	for (number = 0; !bpf_link_get_next_id(number, &number);)
		left += has(objects->links, objects->link_count, number);
	return left;
}

void expect_no_bpf_objects(const struct bpf_objects *objects)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	/* Memory is given back some time after the last user is gone. */
	while (count_left(objects) && monotonic_ms() < end_ms)
		breathe();
	assert_int_equal(count_left(objects), 0);
}
