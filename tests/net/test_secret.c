// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A key's secret is found nowhere but with the client: not in files, logs, maps or applications. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "http_client.h"

#define NEEDLES	      5
#define NEEDLE_SIZE   160
#define CORE_LENGTH   24 /* characters from the middle of a key, which nothing else holds */
#define CORE_OFFSET   12 /* behind the prefix that lists show */
#define POSSIBLE_CPUS 1024

/* A secret in plain, hexadecimal, and base64 at each of the three places a byte may have in it. */
struct needles {
	char texts[NEEDLES][NEEDLE_SIZE];
	unsigned int found;
	unsigned int searched;
};

static void make_needles(const struct key *key, struct needles *ret_needles)
{
	char core[CORE_LENGTH + 1], base64[NEEDLE_SIZE];

	*ret_needles = (struct needles){ 0 };
	snprintf(core, sizeof(core), "%s", key->text + CORE_OFFSET);
	strcpy(ret_needles->texts[0], core);
	sodium_bin2hex(ret_needles->texts[1], NEEDLE_SIZE, (unsigned char *)core, CORE_LENGTH);
	for (int shift = 0; shift < 3; shift++) {
		/* A whole number of triplets, wherever the core begins in one. */
		sodium_bin2base64(base64, sizeof(base64), (unsigned char *)core + shift,
				  CORE_LENGTH - 3, sodium_base64_VARIANT_ORIGINAL);
		strcpy(ret_needles->texts[2 + shift], base64);
	}
}

static void search(struct needles *needles, const void *data, size_t size, const char *where)
{
	needles->searched++;
	for (int i = 0; i < NEEDLES; i++)
		if (holds(data, size, needles->texts[i])) {
			printf("# the secret is in %s (form %d)\n", where, i);
			needles->found++;
		}
}

static void search_file(const char *path, void *data)
{
	size_t length;
	char *text = read_file(path, &length);

	search(data, text, length, path);
	free(text);
}

/* Every element of one map that can be read from user space. */
static void search_map(struct needles *needles, int fd, const struct bpf_map_info *info)
{
	size_t value_size = (info->value_size + 7) / 8 * 8 * POSSIBLE_CPUS;
	unsigned char *value = malloc(value_size);
	unsigned char *key = calloc(2, info->key_size ? info->key_size : 1);
	unsigned char *next = key + info->key_size, *last = NULL;

	assert_true(key && value);
	while (info->key_size && !bpf_map_get_next_key(fd, last, next)) {
		memset(value, 0, value_size);
		search(needles, next, info->key_size, info->name);
		if (!bpf_map_lookup_elem(fd, next, value))
			search(needles, value, value_size, info->name);
		memcpy(key, next, info->key_size);
		last = key;
	}
	free(key);
	free(value);
}

/* All maps of the machine: ours are among them, whether pinned or not. */
static void search_maps(struct needles *needles)
{
	unsigned int id = 0, maps = 0;

	while (!bpf_map_get_next_id(id, &id)) {
		struct bpf_map_info info = { 0 };
		unsigned int length = sizeof(info);
		int fd = bpf_map_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &length)) {
			search_map(needles, fd, &info);
			maps++;
		}
		close(fd);
	}
	assert_true(maps > 5);
}

/* Every way a key can come by: admitted, refused, in a bad request, before and after the end. */
static void use_everywhere(const struct key *key, int status)
{
	static const char *const bad_heads[] = {
		"GET /bad HTTP/1.1\nAuthorization: Bearer %s\r\n\r\n",
		"GET /bad HTTP/2.0\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
		"GET /bad HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nExpect: x\r\n\r\n",
	};
	char text[256];

	for (int a = 0; a < APPLICATIONS; a++) {
		struct client *client;

		if (applications[a].missing)
			continue;
		client = client_open(applications[a].port);
		assert_int_equal(client_get(client, "/echo", key->text), status);
		assert_int_equal(client_get(client, "/upload/none", key->text) == 401,
				 status == 401);
		for (size_t i = 0; i < ARRAY_SIZE(bad_heads); i++) {
			client = client_open(applications[a].port);
			snprintf(text, sizeof(text), bad_heads[i], key->text);
			client_send(client, text, strlen(text));
		}
	}
}

static void expect_hidden(struct needles *needles)
{
	search_maps(needles);
	each_file(stage.folder, search_file, needles);
	assert_true(needles->searched > 20);
	assert_int_equal(needles->found, 0);
}

/* The search itself: it finds a secret that is there. */
static void finds(void **state)
{
	struct key key = key_limited(0, 0);
	struct needles needles;
	char text[256], base64[256];

	(void)state;
	for (int shift = 0; shift < 3; shift++) {
		make_needles(&key, &needles);
		snprintf(text, sizeof(text), "%.*sAuthorization: Bearer %s", shift, "xxx",
			 key.text);
		search(&needles, text, strlen(text), "plain text (on purpose)");
		assert_int_equal(needles.found, 1);
		sodium_bin2base64(base64, sizeof(base64), (unsigned char *)text, strlen(text),
				  sodium_base64_VARIANT_ORIGINAL);
		search(&needles, base64, strlen(base64), "base64 (on purpose)");
		assert_int_equal(needles.found, 2);
	}
}

static void active(void **state)
{
	struct key key = key_limited(0, 0);
	struct needles needles;

	(void)state;
	make_needles(&key, &needles);
	use_everywhere(&key, 200);
	expect_hidden(&needles);
}

static void limited(void **state)
{
	struct key key = key_limited(1, 1);
	struct needles needles;

	(void)state;
	make_needles(&key, &needles);
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", key.text), 200);
	use_everywhere(&key, 429);
	expect_hidden(&needles);
}

static void revoked(void **state)
{
	struct key key = key_limited(0, 0);
	struct needles needles;

	(void)state;
	make_needles(&key, &needles);
	key_revoke(&key);
	use_everywhere(&key, 401);
	expect_hidden(&needles);
}

/* Over the daemon's ends: what it writes back on stop, and reads on start. */
static void restarted(void **state)
{
	struct key key = key_limited(0, 0);
	struct needles needles;
	char text[4096];

	(void)state;
	make_needles(&key, &needles);
	daemon_stop();
	use_everywhere(&key, 200);
	expect_hidden(&needles);
	daemon_start();
	expect_hidden(&needles);
	assert_int_equal(api("GET", "/v1/keys?account=account-1", NULL, text, sizeof(text)), 200);
	daemon_kill();
	expect_hidden(&needles);
	daemon_start();
}

/* All memory of a process that can be read, but what the kernel's tables share with it. */
static void search_process(struct needles *needles, pid_t pid, const char *who)
{
	unsigned long from, to;
	char path[64], line[512], where[600];
	bool seen = false;
	FILE *maps;
	int memory;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	assert_true(memory >= 0 && maps);
	while (fgets(line, sizeof(line), maps)) {
		char *bytes;
		ssize_t length;

		assert_int_equal(sscanf(line, "%lx-%lx r", &from, &to), 2);
		if (strstr(line, "bpf-map") || strstr(line, "[v"))
			continue;
		bytes = malloc(to - from);
		assert_non_null(bytes);
		length = pread(memory, bytes, to - from, (off_t)from);
		snprintf(where, sizeof(where), "the memory of the %s, %s", who, line);
		if (length > 0) {
			search(needles, bytes, length, where);
			seen |= holds(bytes, length, stage.pins);
		}
		free(bytes);
	}
	fclose(maps);
	close(memory);
	/* Both were told where the pins are. */
	assert_true(seen);
}

static void search_own(struct needles *needles)
{
	search_process(needles, daemon_pid, "daemon");
	search_process(needles, process_find("sluiced-relay"), "relay");
	assert_true(needles->searched > 20);
}

/* A head in two parts, and one behind a request whose answer is still to come: both for the relay. */
static void use_slowly(const struct key *key, int status)
{
	struct client *client = client_open(applications[THREADED].port);
	struct response response;

	client_printf(client, "GET /slow HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n",
		      key->text);
	assert_true(client_sees_silence(client, 50));
	client_printf(client,
		      "\r\nGET /next HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
		      key->text);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(client_read(client, false, &response), 0);
		assert_int_equal(response.status, status);
	}
}

/* A last request, with the client's end in the same packet, which the relay sends again without it. */
static void use_at_the_end(const struct key *key, int status)
{
	const int on = 1;
	struct client *client = client_open(applications[THREADED].port);
	struct response response;

	assert_int_equal(setsockopt(client->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
	client_printf(client, "GET /last HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
		      key->text);
	assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
	assert_int_equal(client_read(client, false, &response), 0);
	assert_int_equal(response.status, status);
}

/* The build as it is used: a sanitizer keeps what is freed for a while, as it was. */
static void wiped(void **state)
{
	struct needles needles;
	char text[8192];
	struct key key;

	(void)state;
	daemon_stop();
	daemon_release = true;
	daemon_start();
	for (int i = 0; i < 20; i++)
		key = key_limited(0, 0);
	make_needles(&key, &needles);
	/* An answer is with its client before the daemon has wiped it; by the next it is done. */
	assert_int_equal(api("GET", "/v1/status", NULL, text, sizeof(text)), 200);
	search_own(&needles);
	use_everywhere(&key, 200);
	use_at_the_end(&key, 200);
	search_own(&needles);
	use_slowly(&key, 200);
	key_revoke(&key);
	use_everywhere(&key, 401);
	use_slowly(&key, 401);
	use_at_the_end(&key, 401);
	search_own(&needles);
	daemon_stop();
	daemon_release = false;
	daemon_start();
	assert_int_equal(needles.found, 0);
}

static const struct promise promises[] = {
	{ "the search finds a secret in plain text and base64", finds, ONCE },
	{ "an active key's secret is in no file, log, map or application", active, ONCE },
	{ "nor is that of a key whose limit is used up", limited, ONCE },
	{ "nor is that of a revoked key", revoked, ONCE },
	{ "nor is it after the daemon was stopped, started and killed", restarted, ONCE },
	{ "nor is it in the daemon's memory and the relay's when they are done with it", wiped,
	  ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
