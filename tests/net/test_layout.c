// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A daemon that finds pins which it cannot read touches none of them, says what to do, and leaves the
 * gate that stands as it is.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "abi.h"
#include "cut_short.h"
#include "harness.h"
#include "http_client.h"

#define PINS_MAX 64

static char *pin_path(const char *name)
{
	static char path[192];

	snprintf(path, sizeof(path), "%s/%s", stage.pins, name);
	return path;
}

static int open_pin(const char *name)
{
	int fd = bpf_obj_get(pin_path(name));

	assert_true(fd >= 0);
	return fd;
}

/* What is in the pin folder: names, and numbers of what is pinned there. */
struct pins {
	char names[PINS_MAX][64];
	ino_t inodes[PINS_MAX];
	size_t count;
};

static void read_pins(struct pins *ret_pins)
{
	DIR *folder = opendir(stage.pins);
	struct dirent *entry;

	ret_pins->count = 0;
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		struct stat status;

		if (entry->d_name[0] == '.' || entry->d_type == DT_DIR)
			continue;
		assert_true(ret_pins->count < PINS_MAX);
		assert_int_equal(stat(pin_path(entry->d_name), &status), 0);
		ret_pins->inodes[ret_pins->count] = status.st_ino;
		snprintf(ret_pins->names[ret_pins->count++], 64, "%.63s", entry->d_name);
	}
	closedir(folder);
}

/* Start a daemon, which must end at once and say this; no pin has changed. */
static void expect_refused(const char *reason)
{
	struct pins before, after;
	char log[128], remove[512];
	int status;

	snprintf(remove, sizeof(remove), "sluiced --remove --pin %s --state %s --cgroup %s",
		 stage.pins, stage.state, stage.cgroup);

	read_pins(&before);
	snprintf(log, sizeof(log), "%s/refused.log", stage.folder);
	unlink(log);
	status = process_stop(process_start(log, daemon_command(0)), 0);
	if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 1 ||
	    !count_lines(log, reason) || !count_lines(log, remove)) {
		show_file(log);
		fail_msg("status %#x; it should say: %s", status, reason);
	}
	read_pins(&after);
	assert_int_equal(after.count, before.count);
	assert_memory_equal(after.inodes, before.inodes, before.count * sizeof(*before.inodes));
}

/* A gate that stands without its daemon, and a connection through it. */
struct standing {
	struct client *client;
	struct key key;
};

static struct standing stand(void)
{
	struct standing standing;

	daemon_start();
	standing.client = client_open(applications[NGINX].port);
	standing.key = key_limited(10000, 100000);
	assert_int_equal(client_get(standing.client, "/", standing.key.text), 200);
	daemon_stop();
	return standing;
}

static void expect_standing(const struct standing *standing)
{
	struct client *fresh = client_open(applications[NGINX].port);

	for (int i = 0; i < 2; i++) {
		struct client *client = i ? fresh : standing->client;

		assert_int_equal(client_get(client, "/", NULL), 401);
		assert_int_equal(client_get(client, "/", standing->key.text), 200);
	}
	client_close(fresh);
}

/* What was broken is mended: the daemon takes over, keys and open connections included. */
static void expect_taken_over(const struct standing *standing)
{
	daemon_start();
	expect_standing(standing);
	assert_true(count_lines(stage.daemon_log, "it stood already and was taken over"));
}

static void put_abi(uint32_t abi)
{
	int fd = open_pin("settings");
	struct settings settings;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &settings), 0);
	settings.abi = abi;
	assert_int_equal(bpf_map_update_elem(fd, &zero, &settings, BPF_ANY), 0);
	close(fd);
}

static void other_abi(void **state)
{
	const uint32_t others[] = { SLUICE_ABI - 1, SLUICE_ABI + 1, 0, UINT32_MAX };
	struct standing standing = stand();
	char reason[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		put_abi(others[i]);
		snprintf(reason, sizeof(reason), "their layout is number %u", others[i]);
		expect_refused(reason);
		expect_standing(&standing);
	}
	put_abi(SLUICE_ABI);
	expect_taken_over(&standing);
}

/* Each pin in its turn. Without the guard's link the gate does not stand: that is a start cut short. */
static void missing_pins(void **state)
{
	struct standing standing = stand();
	struct pins pins;

	(void)state;
	read_pins(&pins);
	assert_true(pins.count > 15);
	for (size_t i = 0; i < pins.count; i++) {
		const char *name = pins.names[i];
		bool enrol = !strcmp(name, "link_enrol");
		int fd = open_pin(name);

		if (!strcmp(name, "link_guard")) {
			close(fd);
			continue;
		}
		assert_int_equal(unlink(pin_path(name)), 0);
		expect_refused(enrol ? "a part is missing" : "is missing, or no pin");
		expect_standing(&standing);
		assert_int_equal(bpf_obj_pin(fd, pin_path(name)), 0);
		close(fd);
	}
	expect_taken_over(&standing);
}

/* Put something else in the place of a pin, see that it is refused, and put it back. */
static void replace_pin(const char *name, int other, const char *reason,
			const struct standing *standing)
{
	int fd = open_pin(name);

	assert_true(other >= 0);
	assert_int_equal(unlink(pin_path(name)), 0);
	assert_int_equal(bpf_obj_pin(other, pin_path(name)), 0);
	expect_refused(reason);
	expect_standing(standing);
	assert_int_equal(unlink(pin_path(name)), 0);
	assert_int_equal(bpf_obj_pin(fd, pin_path(name)), 0);
	close(fd);
	close(other);
}

/* A map as the one that is pinned, but for what is given; 0 leaves it. */
static int map_like(const char *name, enum bpf_map_type type, uint32_t key_size,
		    uint32_t value_size, uint32_t more_entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	int fd = open_pin(name);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	options.map_flags = info.map_flags;
	if (type)
		options.map_flags = type == BPF_MAP_TYPE_LRU_HASH ? 0 : info.map_flags;
	return bpf_map_create(type ? type : info.type, "other", key_size ? key_size : info.key_size,
			      value_size ? value_size : info.value_size,
			      info.max_entries + more_entries, &options);
}

/* The program that a pinned link runs. */
static int program_of(const char *name)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);
	int fd = open_pin(name);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return bpf_prog_get_fd_by_id(info.prog_id);
}

static void other_pins(void **state)
{
	struct standing standing = stand();

	(void)state;
	replace_pin("keys", map_like("keys", 0, 0, sizeof(struct key_policy) + 8, 0),
		    "the map keys is of another kind", &standing);
	replace_pin("gates", map_like("gates", 0, sizeof(struct gate_key) + 8, 0, 0),
		    "the map gates is of another kind", &standing);
	replace_pin("conns", map_like("conns", BPF_MAP_TYPE_LRU_HASH, 0, 0, 0),
		    "the map conns is of another kind", &standing);
	replace_pin("counters", map_like("counters", 0, 0, 0, 1),
		    "the map counters has another size", &standing);
	replace_pin("settings", map_like("settings", 0, 0, sizeof(struct settings) + 8, 0),
		    "the map settings is of another kind", &standing);
	replace_pin("replies", open_pin("usage"), "the map replies is of another kind", &standing);
	replace_pin("usage", program_of("link_guard"), "usage is something else", &standing);
	replace_pin("link_enrol", open_pin("keys"), "link_enrol is something else", &standing);
	replace_pin("link_guard", open_pin("link_enrol"), "link_guard is something else",
		    &standing);
	expect_taken_over(&standing);
}

static void other_cgroup(void **state)
{
	struct standing standing = stand();
	struct stage former = stage;

	(void)state;
	snprintf(stage.cgroup, sizeof(stage.cgroup), "%.240s/other", former.cgroup);
	assert_int_equal(mkdir(stage.cgroup, 0755), 0);
	expect_refused("it is on another cgroup than");
	assert_int_equal(rmdir(stage.cgroup), 0);
	stage = former;
	expect_taken_over(&standing);
}

/* A folder of somebody else's: nothing of Sluice's is put into it, and nothing taken out. */
static void strangers_folder(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "theirs", 4, 4, 1, &options);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(mkdir(stage.pins, 0700), 0);
	assert_int_equal(bpf_obj_pin(fd, pin_path("theirs")), 0);
	expect_refused("that are not this version's: theirs");
	assert_int_not_equal(daemon_remove(), 0);
	assert_int_equal(count_lines(stage.daemon_log, "nothing was removed"), 1);
	assert_int_equal(access(pin_path("theirs"), F_OK), 0);
	assert_int_equal(unlink(pin_path("theirs")), 0);
	close(fd);
}

/* In a folder of Sluice's, all that is Sluice's goes. */
static void strangers_subfolder(void **state)
{
	const size_t before = count_lines(stage.daemon_log, "nothing was removed");

	(void)state;
	stand();
	close_all_clients();
	assert_int_equal(mkdir(pin_path("theirs"), 0700), 0);
	assert_int_equal(daemon_remove(), 0);
	assert_int_equal(count_lines(stage.daemon_log, "nothing was removed"), before);
	assert_true(access(pin_path("settings"), F_OK));
	assert_int_equal(rmdir(pin_path("theirs")), 0);
	assert_int_equal(rmdir(stage.pins), 0);
}

/* The way out, as the message has it. */
static void way_out(void **state)
{
	struct standing standing = stand();

	(void)state;
	put_abi(SLUICE_ABI + 1);
	expect_refused("their layout is number");
	close_all_clients();
	assert_int_equal(daemon_remove(), 0);
	assert_int_equal(count_lines(stage.daemon_log, "No connection was let end"), 1);
	assert_int_equal(count_lines(stage.daemon_log, "their layout is number"), 1);
	assert_true(access(stage.pins, F_OK));
	daemon_start();
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", standing.key.text),
			 200);
}

/* --- what is cut short ------------------------------------------------------------------------------ */

static bool is_pinned(const char *name)
{
	return !access(pin_path(name), F_OK);
}

/* The daemon starts, and the gate is up. */
static void expect_start(void)
{
	daemon_start();
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", NULL), 401);
	daemon_stop();
}

/* Pins of a gate without some of its links, as a kill can leave them. */
static void expect_leftovers(const char *const *missing, size_t count)
{
	stand();
	for (size_t i = 0; i < count; i++)
		assert_int_equal(unlink(pin_path(missing[i])), 0);
	expect_start();
	close_all_clients();
	assert_int_equal(daemon_remove(), 0);
}

static void links_missing(void **state)
{
	(void)state;
	expect_leftovers((const char *const[]){ "link_guard" }, 1);
	expect_leftovers((const char *const[]){ "link_guard", "link_enrol" }, 2);
	expect_leftovers((const char *const[]){ "link_guard", "link_enrol", "link_options" }, 3);
}

/* Nothing but one link is left, or nothing but two. */
static void links_alone(void **state)
{
	static const char *const names[] = { "link_options", "link_enrol" };

	(void)state;
	for (size_t kept = 1; kept <= ARRAY_SIZE(names); kept++) {
		int fds[ARRAY_SIZE(names)];

		stand();
		close_all_clients();
		for (size_t i = 0; i < kept; i++)
			fds[i] = open_pin(names[i]);
		assert_int_equal(daemon_remove(), 0);
		assert_int_equal(mkdir(stage.pins, 0700), 0);
		for (size_t i = 0; i < kept; i++) {
			assert_int_equal(bpf_obj_pin(fds[i], pin_path(names[i])), 0);
			close(fds[i]);
		}
		if (kept == 1) /* either way out */
			assert_int_equal(daemon_remove(), 0);
		else
			expect_start();
	}
}

/* A connection that is enrolled while there is no guard is ended, not taken out alive. */
static struct client *enrol_early(void)
{
	struct client *client;

	if (!is_pinned("link_enrol") || is_pinned("link_guard"))
		return NULL;
	client = client_open(applications[NGINX].port);
	assert_int_equal(client_get(client, "/", NULL), 401);
	return client;
}

static void start_is_cut_short(void **state)
{
	struct client *early = NULL;
	/* Where each start takes long, the links alone. */
	unsigned int pins = emulated() ? 15 : 0;

	(void)state;
	daemon_release = true;
	while (!is_pinned("link_guard")) {
		assert_true(cut_short(stage.daemon_log, daemon_command(0), is_pinning, ++pins));
		if (early)
			assert_false(client_sees_silence(early, 0));
		early = enrol_early();
	}
	assert_true(pins > 15);
	expect_start();
	daemon_release = false;
}

static void removal_is_cut_short(void **state)
{
	struct standing standing;

	(void)state;
	daemon_release = true;
	for (unsigned int nth = 1;; nth += nth < 4 ? 1 : emulated() ? 12 : 6) {
		standing = stand();
		if (!cut_short(stage.daemon_log, daemon_remove_command("0"), is_unlinking, nth))
			break;
		expect_start();
		/* Not taken out of the sockhash alive. */
		assert_false(client_sees_silence(standing.client, 0));
		close_all_clients();
	}
	assert_false(is_pinned("settings"));
	daemon_release = false;
}

static const struct promise promises[] = {
	{ "pins of an older or a newer layout are refused", other_abi, ONCE },
	{ "a set of pins of which any is missing is refused", missing_pins, ONCE },
	{ "pins of another kind or size, or of something else, are refused", other_pins, ONCE },
	{ "a gate on another cgroup is refused", other_cgroup, ONCE },
	{ "pins that are not Sluice's are left alone", strangers_folder, ONCE },
	{ "a folder among the pins is left alone, and no reason not to remove", strangers_subfolder,
	  ONCE },
	{ "pins without some of the links are cleared away by the next start", links_missing,
	  ONCE },
	{ "so are links without all the rest", links_alone, ONCE },
	{ "a start that is killed at any pin keeps no other from starting", start_is_cut_short,
	  ONCE },
	{ "neither does a --remove that is killed", removal_is_cut_short, ONCE },
	{ "--remove is the way out, and the next start begins anew with the same keys", way_out,
	  ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
