// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The control API, from a request's method, target and body to its answer, on a real store and
 * registry and a kernel side in memory.
 *
 * The text is a session: requests apart by RS (0x1e), each a line "METHOD TARGET" and a body behind
 * it. '@' in a target stands for the id of the key made last. Every session begins with no keys.
 * What must hold: see check_*().
 */
#include <sodium.h>
#include <sys/stat.h>

#include <jansson.h>

#include "api.h"
#include "config_rows.h"
#include "fuzz.h"
#include "log.h"
#include "secret.h"
#include "unit/fake_gates.h"
#include "unit/fake_verbs.h"
#include "unit/temp_folder.h"
#include "util.h"

#define SLOTS	      16
#define REQUEST_END   0x1e
#define REQUESTS_MAX  24
#define PER_ACCOUNT   4
#define STATUS_FAILED 400

static struct config config;
static struct kernel *kernel;
static struct store *store;
static struct sync *joined;
static struct registry *registry;
static struct service service;
static struct shed shed = { .config = &config.shed };
static bool changed; /* there are keys, or were */
static char last_id[KEY_ID_LENGTH + 1] = "key_none";
static char last_secret[KEY_TEXT_MAX + 1];

/* What is on disk is not what is tested here. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* True where the text holds the secret of the key made last. */
static bool tells_secret(const char *text, size_t length)
{
	size_t secret = strlen(last_secret);

	for (size_t i = 0; secret && i + secret <= length; i++) {
		if (!memcmp(text + i, last_secret, secret))
			return true;
	}
	return false;
}

/* In the place of user/log.c: what is logged is no secret, and has no line of its own in it. */
void log_line(int level, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	(void)level;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	require(!tells_secret(line, strlen(line)));
}

static void open_service(void)
{
	struct registry_options options = { .keys_per_account = PER_ACCOUNT, .key_word = "gx" };
	char why[256] = "";

	kernel = fake_kernel_make(SLOTS);
	require(!temp_folder_make());
	snprintf(config.state, sizeof(config.state), "%s", temp_folder);
	if (store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("pepper"), options.pepper, why, sizeof(why)) ||
	    sync_start(kernel, store, &joined, why, sizeof(why)) ||
	    registry_open(&options, store, joined, &registry))
		fprintf(stderr, "%s\n", why);
	require(registry);
	service = (struct service){ &config, kernel, registry, now_ms(), &fake_verbs, NULL, &shed };
	memset(&fake_shed, 0, sizeof(fake_shed));
	config.shed = config_defaults.shed;
	config.shed.interfaces.count = 1;
	changed = false;
	strcpy(last_id, "key_none");
	*last_secret = '\0';
}

static void close_service(void)
{
	registry_close(registry);
	sync_stop(joined);
	store_close(store);
	fake_kernel_free(kernel);
	registry = NULL;
	temp_folder_remove();
}

static const char *text_of(const json_t *json, const char *member)
{
	const char *text = json_string_value(json_object_get(json, member));

	require(text);
	return text;
}

/* A record has the id of a key, and each of its members is of the kind that clients rely on. */
static void check_record(const json_t *record)
{
	static const char *const numbers[] = { "perMinute", "perDay", "usedMinute", "usedDay" };
	const char *status = text_of(record, "status");

	require(strlen(text_of(record, "id")) == KEY_ID_LENGTH);
	require(*text_of(record, "account") && *text_of(record, "prefix"));
	text_of(record, "label");
	text_of(record, "createdAt");
	require(!strcmp(status, "active") || !strcmp(status, "expired") ||
		!strcmp(status, "revoked"));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		require(json_integer_value(json_object_get(record, numbers[i])) >= (i < 2 ? 1 : 0));
}

/* The gate enforces exactly the keys that the store has as valid. */
static void check_in_force(void)
{
	struct store_counts counts;
	struct failure failure;

	require(!registry_count(registry, &counts, &failure));
	require(kernel->count <= SLOTS);
	require(counts.active <= kernel->count);
	require(kernel->count <= counts.active + counts.expired);
}

static void check_error(const struct api_response *response, const json_t *json)
{
	const char *code = text_of(json, "code");

	require(response->status != 405 || *response->allow);
	require(*text_of(json, "error") && *text_of(json, "message"));
	require(*text_of(json, "traceId"));
	for (; *code; code++)
		require((*code >= 'A' && *code <= 'Z') || *code == '_');
}

/* Only the answer that makes a key tells it, once. */
static void check_secret(const struct api_response *response, const json_t *json)
{
	bool made = json_object_get(json, "key");

	require(!tells_secret(response->body, response->body_length));
	/* The other thing that is made is a source that is shed. */
	require((response->status == 201 && !json_object_get(json, "source")) == made);
	if (!made)
		return;
	require(strlen(text_of(json, "key")) <= KEY_TEXT_MAX);
	strcpy(last_secret, text_of(json, "key"));
	strcpy(last_id, text_of(json, "id"));
}

static void check_response(const struct api_request *request, const struct api_response *response)
{
	bool is_json = !strcmp(response->content_type, "application/json");
	json_t *json, *keys;

	require(response->body);
	require(response->status == 200 || response->status == 201 || response->status == 400 ||
		response->status == 404 || response->status == 405 || response->status == 409);
	require(!*response->allow || response->status == 405);
	if (!is_json) {
		require(response->status == 200 && !strncmp(request->target, "/metrics", 8));
		require(!tells_secret(response->body, response->body_length));
		return;
	}
	json = json_loadb(response->body, response->body_length, JSON_REJECT_DUPLICATES, NULL);
	require(json_is_object(json));
	check_secret(response, json);
	if (response->status >= STATUS_FAILED)
		check_error(response, json);
	else if (json_object_get(json, "id"))
		check_record(json);
	keys = json_object_get(json, "keys");
	for (size_t i = 0; json_is_array(keys) && i < json_array_size(keys); i++)
		check_record(json_array_get(keys, i));
	json_decref(json);
}

static void ask(const char *method, const char *target, const char *body, size_t length)
{
	const struct api_request request = { method, target, body, length, 1000, 4711 };
	struct api_response response;
	uint32_t before = kernel->count;

	api_handle(&service, &request, &response);
	check_response(&request, &response);
	check_in_force();
	/* What is refused, or only read, changes nothing. */
	require(response.status < STATUS_FAILED || kernel->count == before);
	changed |= response.status == 201;
	api_free_body(response.body);
}

/* Write target with the last key's id in the place of '@'. */
static void fill_target(const char *target, char *ret_target, size_t room)
{
	size_t used = 0;

	for (; *target && used + sizeof(last_id) < room; target++) {
		if (*target == '@')
			used += sprintf(ret_target + used, "%s", last_id);
		else
			ret_target[used++] = *target;
	}
	ret_target[used] = '\0';
}

static void play(const uint8_t *bytes, size_t size)
{
	char line[2048], target[4096], *space;
	const uint8_t *line_end = memchr(bytes, '\n', size);
	size_t length = line_end ? (size_t)(line_end - bytes) : size;
	size_t behind = line_end ? length + 1 : length;
	char *body;

	if (length >= sizeof(line))
		return;
	memcpy(line, bytes, length);
	line[length] = '\0';
	space = strchr(line, ' ');
	if (space)
		*space = '\0';
	fill_target(space ? space + 1 : "/v1/keys", target, sizeof(target));
	/* A copy of its own, so that a read beyond its end is caught. */
	body = malloc(size - behind);
	require(body);
	memcpy(body, bytes + behind, size - behind);
	ask(line, target, body, size - behind);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool started;

	if (!started) {
		require(sodium_init() >= 0);
		secret_wipe_json();
		open_service();
		atexit(close_service);
		started = true;
	}
	for (int requests = 0; size && requests < REQUESTS_MAX; requests++) {
		const uint8_t *end = memchr(bytes, REQUEST_END, size);
		size_t length = end ? (size_t)(end - bytes) : size;

		play(bytes, length);
		length += end != NULL;
		bytes += length;
		size -= length;
	}
	if (changed) {
		close_service();
		open_service();
	}
	return 0;
}
