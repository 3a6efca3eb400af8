/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The control API's calls, on a real store and registry and a kernel side in memory. */
#include <arpa/inet.h>
#include <sodium.h>
#include <time.h>

#include "api.h"
#include "captured_log.h"
#include "check.h"
#include "fake_gates.h"
#include "fake_verbs.h"
#include "network.h"
#include "secret.h"
#include "temp_folder.h"
#include "util.h"

#include <jansson.h>

#define SLOTS 64

static struct config config;
static struct kernel *kernel;
static struct store *store;
static struct sync *sync_state;
static struct registry *registry;
static struct service service;
static struct shed shed = { .config = &config.shed };

static int set_up(void **state)
{
	struct registry_options options = {
		.keys_per_account = KEY_PER_ACCOUNT_DEFAULT,
		.key_word = "gx",
	};
	char why[256];

	(void)state;
	memset(&fake, 0, sizeof(fake));
	kernel = fake_kernel_make(SLOTS);
	if (temp_folder_make())
		return -1;
	strcpy(config.pin, "/fake/pin");
	snprintf(config.state, sizeof(config.state), "%s", temp_folder);
	if (store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("pepper"), options.pepper, why, sizeof(why)) ||
	    sync_start(kernel, store, &sync_state, why, sizeof(why)) ||
	    registry_open(&options, store, sync_state, &registry))
		return -1;
	service = (struct service){
		.config = &config,
		.kernel = kernel,
		.registry = registry,
		.started_ms = now_ms() - 5000,
		.verbs = &fake_verbs,
		.shed = &shed,
	};
	memset(&fake_shed, 0, sizeof(fake_shed));
	config.shed = (struct config_shed){ .interfaces.count = 1,
					    .first = 60,
					    .cap = 3600,
					    .ipv4_prefix = 32,
					    .ipv6_prefix = 64 };
	memset(&fake_asked, 0, sizeof(fake_asked));
	strcpy(config.key_word, "gx");
	config.keys_per_account = KEY_PER_ACCOUNT_DEFAULT;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	registry_close(registry);
	sync_stop(sync_state);
	store_close(store);
	fake_kernel_free(kernel);
	return temp_folder_remove();
}

static void ask(const char *method, const char *target, const char *body,
		struct api_response *ret_response)
{
	const struct api_request request = {
		.method = method,
		.target = target,
		.body = body,
		.body_length = body ? strlen(body) : 0,
		.uid = 1000,
		.pid = 4711,
	};

	api_handle(&service, &request, ret_response);
	assert_non_null(ret_response->body);
}

/* The answer as JSON, which the caller releases. */
static json_t *call(const char *method, const char *target, const char *body, int expected_status)
{
	struct api_response response;
	json_t *json;

	ask(method, target, body, &response);
	if (response.status != expected_status)
		print_message("# %s %s: %s\n", method, target, response.body);
	assert_int_equal(response.status, expected_status);
	assert_string_equal(response.content_type, "application/json");
	json = json_loadb(response.body, response.body_length, 0, NULL);
	assert_non_null(json);
	api_free_body(response.body);
	return json;
}

static const char *text_of(const json_t *json, const char *member)
{
	const char *text = json_string_value(json_object_get(json, member));

	assert_non_null(text);
	return text;
}

static json_int_t number_of(const json_t *json, const char *member)
{
	assert_true(json_is_integer(json_object_get(json, member)));
	return json_integer_value(json_object_get(json, member));
}

/* Create a key, and give its record. */
static json_t *create(const char *account, const char *label)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"account\":\"%s\",\"label\":\"%s\"}", account, label);
	return call("POST", "/v1/keys", body, 201);
}

static int note_key(const struct key_policy *policy, void *data)
{
	*(const struct key_policy **)data = policy;
	return 0;
}

/* What is in force, where it is one key. */
static const struct key_policy *only_key(void)
{
	const struct key_policy *policy = NULL;

	assert_int_equal(kernel->count, 1);
	assert_int_equal(kernel_each_key(kernel, note_key, &policy), 0);
	return policy;
}

static const char *path_of(const json_t *record)
{
	static char path[64];

	snprintf(path, sizeof(path), "/v1/keys/%s", text_of(record, "id"));
	return path;
}

/* --- what goes well -------------------------------------------------------------------------- */

static void test_create(void **state)
{
	json_t *record = call("POST", "/v1/keys",
			      "{\"account\":\"acme\",\"label\":\"Büro\",\"perMinute\":7,"
			      "\"perDay\":70,\"expiresAt\":\"2990-01-31T12:00:00.5+01:00\"}",
			      201);
	uint64_t created_ms;

	(void)state;
	assert_true(key_id_check(text_of(record, "id")));
	assert_int_equal(strlen(text_of(record, "key")), 52);
	assert_memory_equal(text_of(record, "key"), text_of(record, "prefix"), 9);
	assert_int_equal(strlen(text_of(record, "prefix")), 9);
	assert_string_equal(text_of(record, "account"), "acme");
	assert_string_equal(text_of(record, "label"), "Büro");
	assert_int_equal(number_of(record, "perMinute"), 7);
	assert_int_equal(number_of(record, "perDay"), 70);
	assert_string_equal(text_of(record, "expiresAt"), "2990-01-31T11:00:00.500Z");
	assert_int_equal(rfc3339_parse(text_of(record, "createdAt"), &created_ms), 0);
	assert_in_range(created_ms, now_ms() - 10000, now_ms());
	assert_true(json_is_null(json_object_get(record, "lastUsedAt")));
	assert_string_equal(text_of(record, "status"), "active");
	assert_int_equal(number_of(record, "usedMinute"), 0);
	assert_int_equal(number_of(record, "usedDay"), 0);
	assert_int_equal(json_object_size(record), 13);
	json_decref(record);
}

static void test_defaults(void **state)
{
	json_t *record = create("acme", "first");

	(void)state;
	assert_int_equal(number_of(record, "perMinute"), 60);
	assert_int_equal(number_of(record, "perDay"), 1000);
	assert_true(json_is_null(json_object_get(record, "expiresAt")));
	json_decref(record);
}

static void test_in_force(void **state)
{
	json_t *record = create("acme", "first");

	(void)state;
	assert_int_equal(kernel->count, 1);
	json_decref(call("DELETE", path_of(record), NULL, 200));
	assert_int_equal(kernel->count, 0);
	json_decref(record);
}

static void test_told_once(void **state)
{
	json_t *record = create("acme", "first");
	json_t *again = call("GET", path_of(record), NULL, 200);

	(void)state;
	assert_null(json_object_get(again, "key"));
	assert_int_equal(json_object_size(again), 12);
	assert_string_equal(text_of(again, "id"), text_of(record, "id"));
	json_decref(again);
	json_decref(record);
}

static void expect_list(const char *target, size_t count, const char *first_account)
{
	json_t *list = call("GET", target, NULL, 200);
	const json_t *keys = json_object_get(list, "keys");

	assert_int_equal(json_object_size(list), 1);
	assert_int_equal(json_array_size(keys), count);
	if (first_account)
		assert_string_equal(text_of(json_array_get(keys, 0), "account"), first_account);
	json_decref(list);
}

static void test_list(void **state)
{
	(void)state;
	expect_list("/v1/keys", 0, NULL);
	json_decref(create("acme", "first"));
	json_decref(create("a@b:c", "first"));
	json_decref(create("a@b:c", "second"));
	expect_list("/v1/keys", 3, "acme");
	expect_list("/v1/keys?", 3, "acme");
	expect_list("/v1/keys?account=acme", 1, "acme");
	expect_list("/v1/keys?account=a@b:c", 2, "a@b:c");
	expect_list("/v1/keys?account=a%40b%3ac", 2, "a@b:c");
	expect_list("/v1/keys?account=nobody", 0, NULL);
}

static void test_edit(void **state)
{
	json_t *record = create("acme", "first"), *changed;

	(void)state;
	changed = call("PATCH", path_of(record), "{\"perDay\":5}", 200);
	assert_int_equal(number_of(changed, "perDay"), 5);
	assert_int_equal(number_of(changed, "perMinute"), 60);
	assert_string_equal(text_of(changed, "label"), "first");
	assert_int_equal(only_key()->per_day, 5);
	json_decref(changed);
	changed = call("PATCH", path_of(record), "{\"label\":\"other\",\"perMinute\":9}", 200);
	assert_string_equal(text_of(changed, "label"), "other");
	assert_int_equal(number_of(changed, "perMinute"), 9);
	assert_int_equal(number_of(changed, "perDay"), 5);
	json_decref(changed);
	json_decref(record);
}

static void test_revoke(void **state)
{
	json_t *record = create("acme", "first"), *revoked;

	(void)state;
	for (int i = 0; i < 2; i++) {
		revoked = call("DELETE", path_of(record), NULL, 200);
		assert_string_equal(text_of(revoked, "status"), "revoked");
		json_decref(revoked);
	}
	json_decref(record);
}

/* Append the line that a change of a key is logged with. */
static void expect_logged(char *lines, const char *verb, const json_t *record, int per_day)
{
	sprintf(lines + strlen(lines),
		"uid 1000, pid 4711 %s %s of account acme: label first, 60 a minute, %d a day\n",
		verb, text_of(record, "id"), per_day);
}

static void test_log(void **state)
{
	char wanted[1024] = "";
	json_t *record;

	(void)state;
	log_capture();
	record = create("acme", "first");
	json_decref(call("PATCH", path_of(record), "{\"perDay\":5}", 200));
	json_decref(call("DELETE", path_of(record), NULL, 200));
	json_decref(call("DELETE", path_of(record), NULL, 200));
	expect_logged(wanted, "created", record, 1000);
	expect_logged(wanted, "edited", record, 5);
	expect_logged(wanted, "revoked", record, 5);
	assert_string_equal(log_captured(), wanted);
	json_decref(record);
}

static void test_refusals_are_logged(void **state)
{
	static const char wanted[] =
		"uid 1000, pid 4711 was refused POST /v1/keys: INVALID_ARGUMENT\n"
		"uid 1000, pid 4711 was refused PATCH /v1/keys/key_aaaaaaaaaaaa: NOT_FOUND\n"
		"uid 1000, pid 4711 was refused DELETE /v1/keys: METHOD_NOT_ALLOWED\n"
		"uid 1000, pid 4711 was refused DELETE /v1/keys/{id}: NOT_FOUND\n"
		"uid 1000, pid 4711 was refused DELETE /v1/gates/80: CONFLICT\n"
		"uid 1000, pid 4711 has the configuration read again\n"
		"uid 1000, pid 4711 was refused POST /v1/reload: CONFLICT\n"
		"uid 1000, pid 4711 was refused POST: NOT_FOUND\n";

	(void)state;
	log_capture();
	json_decref(call("POST", "/v1/keys", "{\"gx_secret\":1}", 400));
	json_decref(call("PATCH", "/v1/keys/key_aaaaaaaaaaaa", "{\"perDay\":1}", 404));
	json_decref(call("DELETE", "/v1/keys", NULL, 405));
	/* A key where its id belongs. */
	json_decref(call("DELETE", "/v1/keys/gx_secret", NULL, 404));
	fake_asked.refuse = true;
	json_decref(call("DELETE", "/v1/gates/80", NULL, 409));
	json_decref(call("POST", "/v1/reload", NULL, 409));
	json_decref(call("POST", "/v1/gx_secret", NULL, 404));
	json_decref(call("GET", "/v1/keys/key_aaaaaaaaaaaa", NULL, 404));
	assert_string_equal(log_captured(), wanted);
}

static void test_head(void **state)
{
	(void)state;
	json_decref(call("HEAD", "/v1/keys", NULL, 200));
}

static void test_live_usage(void **state)
{
	json_t *record = create("acme", "first"), *again;
	uint64_t at_ms = now_ms();
	/* abi.h: the minute, used of its day, used of the minute */
	uint64_t windows = at_ms / 60000 << 32 | 5 << 14 | 3;

	(void)state;
	kernel->usage[only_key()->slot].windows = windows;
	kernel->usage[only_key()->slot].last_used = at_ms;
	again = call("GET", path_of(record), NULL, 200);
	if (now_ms() / 60000 == at_ms / 60000)
		assert_int_equal(number_of(again, "usedMinute"), 3);
	if (now_ms() / 86400000 == at_ms / 86400000)
		assert_int_equal(number_of(again, "usedDay"), 5);
	assert_non_null(json_string_value(json_object_get(again, "lastUsedAt")));
	json_decref(again);
	json_decref(record);
}

/* --- what is refused ------------------------------------------------------------------------- */

#define CREATE(members) "{\"account\":\"acme\",\"label\":\"l\"" members "}"
#define A63		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A36		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L64		"llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
#define NO_ID		"/v1/keys/key_aaaaaaaaaaaa"

static const struct refusal {
	const char *method;
	const char *target; /* "{id}": the id of a key that is there */
	const char *body;
	int status;
	const char *code;
	const char *message; /* its beginning */
} refusals[] = {
	/* routes */
	{ "GET", "/", NULL, 404, "NOT_FOUND", "There is nothing at /." },
	{ "GET", "/v1", NULL, 404, "NOT_FOUND", "There is nothing at /v1." },
	{ "GET", "/v2/keys", NULL, 404, "NOT_FOUND", "There is nothing at /v2/keys." },
	{ "GET", "/v1/keys/", NULL, 404, "NOT_FOUND", "There is nothing at /v1/keys/." },
	{ "GET", "/v1/keys/a/b", NULL, 404, "NOT_FOUND", "There is nothing at /v1/keys/a/b." },
	{ "GET", "//v1/keys", NULL, 404, "NOT_FOUND", "There is nothing at //v1/keys." },
	{ "GET", "/v1/Keys", NULL, 404, "NOT_FOUND", "There is nothing at /v1/Keys." },
	{ "GET", "/\xff\x80", NULL, 404, "NOT_FOUND", "There is nothing at /??." },
	{ "PUT", "/v1/keys", "{}", 405, "METHOD_NOT_ALLOWED",
	  "PUT is not possible here; allowed are GET, HEAD, POST." },
	{ "POST", "/v1/keys/x", "{}", 405, "METHOD_NOT_ALLOWED",
	  "POST is not possible here; allowed are GET, HEAD, PATCH, DELETE." },
	{ "get", "/v1/status", NULL, 405, "METHOD_NOT_ALLOWED",
	  "get is not possible here; allowed are GET, HEAD." },
	{ "POST", "/metrics", NULL, 405, "METHOD_NOT_ALLOWED",
	  "POST is not possible here; allowed are GET, HEAD." },
	{ "GET", NO_ID, NULL, 404, "NOT_FOUND", "There is no key of this id." },
	{ "GET", "/v1/keys/x", NULL, 404, "NOT_FOUND", "There is no key of this id." },
	{ "PATCH", NO_ID, "{\"perDay\":1}", 404, "NOT_FOUND", "There is no key of this id." },
	{ "DELETE", NO_ID, NULL, 404, "NOT_FOUND", "There is no key of this id." },
	/* queries */
	{ "GET", "/v1/keys?acc=x", NULL, 400, "INVALID_ARGUMENT",
	  "There is no query parameter \"acc\"; allowed is account." },
	{ "GET", "/v1/keys?accounts=x", NULL, 400, "INVALID_ARGUMENT",
	  "There is no query parameter \"accounts\"; allowed is account." },
	{ "GET", "/v1/keys?account=x&limit=3", NULL, 400, "INVALID_ARGUMENT",
	  "There is more than one query parameter; allowed is account." },
	{ "GET", "/v1/keys?account", NULL, 400, "INVALID_ARGUMENT", "account has no value." },
	{ "GET", "/v1/keys?account=", NULL, 400, "INVALID_ARGUMENT", "account has no value." },
	{ "GET", "/v1/keys?account=%4", NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=%zz", NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=a%00b", NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=" A36 A36, NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=" A63, NULL, 400, "INVALID_ARGUMENT",
	  "account must be 1 to 36" },
	{ "GET", "/v1/keys?account=" A63 "a", NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=" A63 "aa", NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=" A63 "%61", NULL, 400, "INVALID_ARGUMENT",
	  "account is too long or has a broken % escape." },
	{ "GET", "/v1/keys?account=a+b", NULL, 400, "INVALID_ARGUMENT", "account must be 1 to 36" },
	{ "GET", "/v1/status?verbose=1", NULL, 400, "INVALID_ARGUMENT",
	  "This call takes no query parameters." },
	{ "POST", "/v1/keys?account=x", CREATE(""), 400, "INVALID_ARGUMENT",
	  "This call takes no query parameters." },
	/* bodies */
	{ "GET", "/v1/keys", "{}", 400, "INVALID_ARGUMENT", "GET takes no body." },
	{ "DELETE", "/v1/keys/{id}", "{}", 400, "INVALID_ARGUMENT", "DELETE takes no body." },
	{ "POST", "/v1/keys", NULL, 400, "INVALID_ARGUMENT",
	  "The body is empty; it must be a JSON object." },
	{ "POST", "/v1/keys", "account=acme", 400, "INVALID_ARGUMENT",
	  "The body is not valid JSON: " },
	{ "POST", "/v1/keys", "{\"account\":\"a\"", 400, "INVALID_ARGUMENT",
	  "The body is not valid JSON: " },
	{ "POST", "/v1/keys", CREATE("") "x", 400, "INVALID_ARGUMENT",
	  "The body is not valid JSON: " },
	{ "POST", "/v1/keys", "{\"account\":\"\xff\"}", 400, "INVALID_ARGUMENT",
	  "The body is not valid JSON: " },
	{ "POST", "/v1/keys", "{\"account\":\"a\\u0000\"}", 400, "INVALID_ARGUMENT",
	  "The body has a NUL character, \\u0000, in a text (line 1, column " },
	{ "POST", "/v1/keys", "{\"a\\u0000\":1}", 400, "INVALID_ARGUMENT",
	  "The body has a NUL character, \\u0000, in a text (line 1, column " },
	{ "POST", "/v1/keys", CREATE(",\"perDay\":99999999999999999999"), 400, "INVALID_ARGUMENT",
	  "The body is not valid JSON: " },
	{ "POST", "/v1/keys", "[]", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not an array." },
	{ "POST", "/v1/keys", "\"x\"", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not a string." },
	{ "POST", "/v1/keys", "null", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not null." },
	{ "POST", "/v1/keys", "17", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not a whole number." },
	{ "POST", "/v1/keys", "1.5", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not a fraction." },
	{ "POST", "/v1/keys", "true", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not true." },
	{ "POST", "/v1/keys", "false", 400, "INVALID_ARGUMENT",
	  "The body must be a JSON object, not false." },
	{ "POST", "/v1/keys", CREATE(",\"label\":\"m\""), 400, "INVALID_ARGUMENT",
	  "The body has a member twice (line 1, column " },
	/* members */
	{ "POST", "/v1/keys", CREATE(",\"per_day\":1"), 400, "INVALID_ARGUMENT",
	  "There is no member \"per_day\"; allowed are account, label, perMinute, perDay, "
	  "expiresAt." },
	{ "POST", "/v1/keys", "{}", 400, "INVALID_ARGUMENT", "account is missing." },
	{ "POST", "/v1/keys", "{\"account\":\"acme\"}", 400, "INVALID_ARGUMENT",
	  "label is missing." },
	{ "POST", "/v1/keys", "{\"account\":1,\"label\":\"l\"}", 400, "INVALID_ARGUMENT",
	  "account must be a string, not a whole number." },
	{ "POST", "/v1/keys", "{\"account\":\"a\",\"label\":{}}", 400, "INVALID_ARGUMENT",
	  "label must be a string, not an object." },
	{ "POST", "/v1/keys", CREATE(",\"perMinute\":\"60\""), 400, "INVALID_ARGUMENT",
	  "perMinute must be a whole number, not a string." },
	{ "POST", "/v1/keys", CREATE(",\"perMinute\":60.0"), 400, "INVALID_ARGUMENT",
	  "perMinute must be a whole number, not a fraction." },
	{ "POST", "/v1/keys", CREATE(",\"perDay\":null"), 400, "INVALID_ARGUMENT",
	  "perDay must be a whole number, not null." },
	{ "POST", "/v1/keys", CREATE(",\"expiresAt\":1900000000"), 400, "INVALID_ARGUMENT",
	  "expiresAt must be an instant as a string, such as \"2030-01-31T12:00:00Z\"" },
	{ "POST", "/v1/keys", CREATE(",\"expiresAt\":null"), 400, "INVALID_ARGUMENT",
	  "expiresAt must be an instant as a string, such as \"2030-01-31T12:00:00Z\"" },
	{ "POST", "/v1/keys", CREATE(",\"expiresAt\":\"tomorrow\""), 400, "INVALID_ARGUMENT",
	  "expiresAt must be an instant as a string, such as \"2030-01-31T12:00:00Z\"" },
	/* values */
	{ "POST", "/v1/keys", "{\"account\":\"\",\"label\":\"l\"}", 400, "INVALID_ARGUMENT",
	  "account must be 1 to 36 characters" },
	{ "POST", "/v1/keys", "{\"account\":\"a b\",\"label\":\"l\"}", 400, "INVALID_ARGUMENT",
	  "account must be 1 to 36 characters" },
	{ "POST", "/v1/keys", "{\"account\":\"" A36 "a\",\"label\":\"l\"}", 400, "INVALID_ARGUMENT",
	  "account must be 1 to 36 characters" },
	{ "POST", "/v1/keys", "{\"account\":\"a\",\"label\":\"\"}", 400, "INVALID_ARGUMENT",
	  "label must be 1 to 64 characters." },
	{ "POST", "/v1/keys", "{\"account\":\"a\",\"label\":\"" L64 "l\"}", 400, "INVALID_ARGUMENT",
	  "label must be 1 to 64 characters." },
	{ "POST", "/v1/keys", "{\"account\":\"a\",\"label\":\"x\\ny\"}", 400, "INVALID_ARGUMENT",
	  "label must not contain control characters." },
	{ "POST", "/v1/keys", CREATE(",\"perMinute\":0"), 400, "INVALID_ARGUMENT",
	  "perMinute must be from 1 to 10000." },
	{ "POST", "/v1/keys", CREATE(",\"perMinute\":10001"), 400, "INVALID_ARGUMENT",
	  "perMinute must be from 1 to 10000." },
	{ "POST", "/v1/keys", CREATE(",\"perDay\":-1"), 400, "INVALID_ARGUMENT",
	  "perDay must be from 1 to 100000." },
	{ "POST", "/v1/keys", CREATE(",\"perDay\":100001"), 400, "INVALID_ARGUMENT",
	  "perDay must be from 1 to 100000." },
	{ "POST", "/v1/keys", CREATE(",\"expiresAt\":\"2020-01-01T00:00:00Z\""), 400,
	  "INVALID_ARGUMENT", "expiresAt must be in the future." },
	{ "POST", "/v1/keys", "{\"account\":\"acme\",\"label\":\"first\"}", 409, "CONFLICT",
	  "The account already has a key with this label." },
	/* changes */
	{ "PATCH", "/v1/keys/{id}", "{}", 400, "INVALID_ARGUMENT",
	  "Nothing to change: give label, perMinute or perDay." },
	{ "PATCH", "/v1/keys/{id}", NULL, 400, "INVALID_ARGUMENT", "The body is empty" },
	{ "PATCH", "/v1/keys/{id}", "{\"account\":\"b\"}", 400, "INVALID_ARGUMENT",
	  "There is no member \"account\"; allowed are label, perMinute, perDay." },
	{ "PATCH", "/v1/keys/{id}", "{\"expiresAt\":\"2990-01-01T00:00:00Z\"}", 400,
	  "INVALID_ARGUMENT", "There is no member \"expiresAt\"; allowed are" },
	{ "PATCH", "/v1/keys/{id}", "{\"label\":true}", 400, "INVALID_ARGUMENT",
	  "label must be a string, not true." },
	{ "PATCH", "/v1/keys/{id}", "{\"perMinute\":99999}", 400, "INVALID_ARGUMENT",
	  "perMinute must be from 1 to 10000." },
	{ "PATCH", "/v1/keys/{id}", "{\"perDay\":0}", 400, "INVALID_ARGUMENT",
	  "perDay must be from 1 to 100000." },
	{ "PATCH", "/v1/keys/{id}", "{\"label\":\"second\"}", 409, "CONFLICT",
	  "The account already has a key with this label." },
};

/* error, message, code, traceId, in this order, and nothing else. */
static void expect_error(const char *body, const char *code, const char *message)
{
	static const char *const members[] = { "error", "message", "code", "traceId" };
	json_t *json = json_loads(body, 0, NULL), *value;
	const char *name, *trace_id;
	size_t i = 0;

	assert_non_null(json);
	json_object_foreach(json, name, value)
	{
		assert_true(i < ARRAY_SIZE(members));
		assert_string_equal(name, members[i++]);
	}
	assert_int_equal(i, ARRAY_SIZE(members));
	assert_string_equal(text_of(json, "code"), code);
	if (strncmp(text_of(json, "message"), message, strlen(message)))
		assert_string_equal(text_of(json, "message"), message);
	assert_string_equal(text_of(json, "error"), text_of(json, "message"));
	trace_id = text_of(json, "traceId");
	assert_memory_equal(trace_id, "req_", 4);
	assert_int_equal(strlen(trace_id), 28);
	assert_int_equal(strspn(trace_id + 4, "abcdefghijklmnopqrstuvwxyz0123456789"), 24);
	json_decref(json);
}

static void expect_refusal(const struct refusal *refusal, const char *path)
{
	const char *target = strstr(refusal->target, "{id}") ? path : refusal->target;
	struct api_response response;

	ask(refusal->method, target, refusal->body, &response);
	if (response.status != refusal->status)
		print_message("# %s %s %s: %s\n", refusal->method, target,
			      refusal->body ? refusal->body : "", response.body);
	assert_int_equal(response.status, refusal->status);
	expect_error(response.body, refusal->code, refusal->message);
	assert_int_equal(*response.allow != '\0', refusal->status == 405);
	api_free_body(response.body);
}

static void test_refusals(void **state)
{
	json_t *record = create("acme", "first");
	char path[64];

	(void)state;
	json_decref(create("acme", "second"));
	strcpy(path, path_of(record));
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		expect_refusal(&refusals[i], path);
	/* None of them changed anything. */
	expect_list("/v1/keys", 2, "acme");
	json_decref(record);
}

static void test_body_size(void **state)
{
	static char body[API_BODY_MAX + 2];
	const struct refusal too_large = {
		"POST", "/v1/keys",	    body,
		400,	"INVALID_ARGUMENT", "The body is too large; 65536 bytes are allowed."
	};

	(void)state;
	memset(body, ' ', API_BODY_MAX);
	memcpy(body, CREATE(""), strlen(CREATE("")));
	json_decref(call("POST", "/v1/keys", body, 201));
	body[API_BODY_MAX] = ' ';
	expect_refusal(&too_large, "");
}

static void test_long_member(void **state)
{
	char body[1024];
	const struct refusal refusal = { "POST", "/v1/keys",	     body,
					 400,	 "INVALID_ARGUMENT", "There is no member \"x???" };

	(void)state;
	/* Cut in the middle of a character, the quotation is no longer UTF-8. */
	strcpy(body, "{\"x");
	for (int i = 0; i < 100; i++)
		strcat(body, "é");
	strcat(body, "\":1}");
	expect_refusal(&refusal, "");
}

static void test_allow(void **state)
{
	struct api_response response;

	(void)state;
	ask("PUT", "/v1/keys", NULL, &response);
	assert_string_equal(response.allow, "GET, HEAD, POST");
	api_free_body(response.body);
	ask("PUT", "/v1/keys/key_aaaaaaaaaaaa", NULL, &response);
	assert_string_equal(response.allow, "GET, HEAD, PATCH, DELETE");
	api_free_body(response.body);
}

static void test_trace_ids(void **state)
{
	json_t *first = call("GET", "/none", NULL, 404), *second = call("GET", "/none", NULL, 404);

	(void)state;
	assert_string_not_equal(text_of(first, "traceId"), text_of(second, "traceId"));
	json_decref(first);
	json_decref(second);
}

static void test_cap(void **state)
{
	const struct refusal refusal = {
		"POST", "/v1/keys",	 CREATE(""),
		409,	"LIMIT_REACHED", "The account has 10 keys already"
	};
	json_t *record = NULL;
	char label[16];

	(void)state;
	for (int i = 0; i < 10; i++) {
		json_decref(record);
		snprintf(label, sizeof(label), "%d", i);
		record = create("acme", label);
	}
	expect_refusal(&refusal, "");
	json_decref(call("DELETE", path_of(record), NULL, 200));
	json_decref(create("acme", "l"));
	json_decref(record);
}

static void test_revoked(void **state)
{
	json_t *record = create("acme", "first");
	const struct refusal refusal = { "PATCH", "{id}",     "{\"perDay\":2}",
					 409,	  "CONFLICT", "The key is revoked" };

	(void)state;
	json_decref(call("DELETE", path_of(record), NULL, 200));
	expect_refusal(&refusal, path_of(record));
	json_decref(record);
}

static void test_kernel_failure(void **state)
{
	static const struct refusal rows[] = {
		{ "POST", "/v1/keys", CREATE(""), 503, "UNAVAILABLE", "The kernel side failed" },
		{ "GET", "/v1/status", NULL, 503, "UNAVAILABLE", "The kernel side cannot be read" },
		{ "GET", "/metrics", NULL, 503, "UNAVAILABLE", "The kernel side cannot be read" },
	};

	(void)state;
	fake.failure = -EIO;
	kernel->fail_put = EIO;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_refusal(&rows[i], "");
	expect_list("/v1/keys", 0, NULL);
}

/* --- status and metrics ---------------------------------------------------------------------- */

static void set_scene(void)
{
	const struct gate swap = { .head_limit = 16384 },
			  keep = { 2048, .keep_identity = 1, .pass_trailers = 1 };

	fake_add_gate(8080, true, &swap);
	fake_add_gate(443, true, &keep);
	fake_add_gate(80, false, &swap);
	fake.open = 12;
	fake.counters[COUNTER_ADMITTED] = 1234;
	fake.counters[COUNTER_REFUSED_NO_KEY] = 56;
	fake.counters[COUNTER_GUARD_DROPPED] = 7;
	inet_pton(AF_INET6, "::ffff:203.0.113.7", &fake.guess_sources[0]);
	inet_pton(AF_INET6, "2001:db8:0:5::", &fake.guess_sources[1]);
	fake.guesses[0] = (struct guesses){ 99, 1767225600001 };
	fake.guesses[1] = (struct guesses){ 3, 1767225600000 };
	fake.guessers = FAKE_GUESSERS;
	fake.all_guessers = 12;
	json_decref(create("acme", "first"));
}

static void expect_gate(const json_t *gates, size_t index, int port, int limit,
			const char *identity, const char *trailers)
{
	const json_t *gate = json_array_get(gates, index);

	assert_int_equal(number_of(gate, "port"), port);
	assert_int_equal(number_of(gate, "headLimit"), limit);
	assert_string_equal(text_of(gate, "identity"), identity);
	assert_string_equal(text_of(gate, "trailers"), trailers);
}

static void expect_guesses(const json_t *guesses)
{
	const json_t *top = json_object_get(guesses, "top");

	assert_int_equal(number_of(guesses, "sources"), 12);
	assert_int_equal(number_of(guesses, "max"), 2000);
	assert_int_equal(json_array_size(top), 2);
	assert_string_equal(text_of(json_array_get(top, 0), "source"), "203.0.113.7");
	assert_int_equal(number_of(json_array_get(top, 0), "count"), 99);
	assert_string_equal(text_of(json_array_get(top, 0), "lastAt"), "2026-01-01T00:00:00.001Z");
	assert_string_equal(text_of(json_array_get(top, 1), "source"), "2001:db8:0:5::/64");
}

static void test_status(void **state)
{
	const json_t *gates, *keys, *counts;
	json_t *status;

	(void)state;
	set_scene();
	status = call("GET", "/v1/status", NULL, 200);
	assert_string_equal(text_of(status, "version"), SLUICE_VERSION);
	assert_int_equal(strlen(text_of(status, "startedAt")), 24);
	assert_in_range(number_of(status, "uptimeSeconds"), 4, 60);
	assert_true(json_is_true(json_object_get(status, "enforcing")));
	assert_true(json_is_false(json_object_get(status, "takenOver")));
	assert_string_equal(text_of(status, "cgroup"), "/fake/cgroup");
	assert_string_equal(text_of(status, "pinFolder"), "/fake/pin");
	assert_string_equal(text_of(status, "stateFolder"), temp_folder);
	gates = json_object_get(status, "gates");
	assert_int_equal(json_array_size(gates), 2);
	expect_gate(gates, 0, 443, 2048, "keep", "pass");
	expect_gate(gates, 1, 8080, 16384, "swap", "refuse");
	keys = json_object_get(status, "keys");
	assert_int_equal(number_of(keys, "active"), 1);
	assert_int_equal(number_of(keys, "expired"), 0);
	assert_int_equal(number_of(keys, "revoked"), 0);
	assert_int_equal(number_of(keys, "max"), SLOTS);
	assert_int_equal(number_of(json_object_get(status, "connections"), "open"), 12);
	assert_int_equal(number_of(json_object_get(status, "connections"), "max"), 1000);
	counts = json_object_get(status, "counts");
	assert_int_equal(json_object_size(counts), COUNTER_COUNT);
	assert_int_equal(number_of(counts, "admitted"), 1234);
	assert_int_equal(number_of(counts, "refusedNoKey"), 56);
	assert_int_equal(number_of(counts, "guardDropped"), 7);
	expect_guesses(json_object_get(status, "guesses"));
	json_decref(status);
}

static void test_metrics(void **state)
{
	static const char *const lines[] = {
		"sluice_build_info{version=\"" SLUICE_VERSION "\"} 1\n",
		"# TYPE sluice_requests_total counter\n",
		"sluice_requests_total{verdict=\"admitted\"} 1234\n",
		"sluice_requests_total{verdict=\"no_key\"} 56\n",
		"sluice_requests_total{verdict=\"rate_limited\"} 0\n",
		"# HELP sluice_guard_dropped_total packets to connections that are not enrolled.\n",
		"# TYPE sluice_guard_dropped_total counter\n",
		"sluice_guard_dropped_total 7\n",
		"sluice_connections_open 12\n",
		"sluice_connections_max 1000\n",
		"sluice_keys{status=\"active\"} 1\n",
		"sluice_keys{status=\"revoked\"} 0\n",
		"sluice_keys_max 64\n",
		"sluice_guess_sources 12\n",
		"sluice_guess_sources_max 2000\n",
		"sluice_enforcing 1\n",
		"sluice_shed_sources 0\n",
		"sluice_shed_sources_max 16\n",
		"# TYPE sluice_uptime_seconds gauge\n",
	};
	struct api_response response;

	(void)state;
	set_scene();
	ask("GET", "/metrics", NULL, &response);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
	assert_int_equal(response.body_length, strlen(response.body));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(response.body, lines[i]))
			assert_string_equal(response.body, lines[i]);
	api_free_body(response.body);
}

static void test_gates(void **state)
{
	const struct gate plain = { .head_limit = 1024 };
	const struct gate leaving = { .head_limit = 2048, .keep_identity = 1, .draining = 1 };
	json_t *answer, *gates;

	(void)state;
	fake_add_gate(8080, true, &leaving);
	fake_add_gate(80, true, &plain);
	fake_add_gate(81, false, &plain);
	answer = call("GET", "/v1/gates", NULL, 200);
	gates = json_object_get(answer, "gates");
	assert_int_equal(json_array_size(gates), 2);
	assert_int_equal(number_of(json_array_get(gates, 0), "port"), 80);
	assert_false(json_is_true(json_object_get(json_array_get(gates, 0), "draining")));
	assert_int_equal(number_of(json_array_get(gates, 1), "headLimit"), 2048);
	assert_string_equal(text_of(json_array_get(gates, 1), "identity"), "keep");
	assert_true(json_is_true(json_object_get(json_array_get(gates, 1), "draining")));
	json_decref(answer);
}

static void test_gate_leaves(void **state)
{
	static const struct refusal rows[] = {
		{ "DELETE", "/v1/gates/0", NULL, 404, "NOT_FOUND", "A port is a number from 1 to" },
		{ "DELETE", "/v1/gates/x", NULL, 404, "NOT_FOUND", "A port is a number from 1 to" },
		{ "DELETE", "/v1/gates/80?drain=3601", NULL, 400, "INVALID_ARGUMENT",
		  "drain must be a number" },
		{ "DELETE", "/v1/gates/80?drain=-1", NULL, 400, "INVALID_ARGUMENT",
		  "drain must be a number" },
		{ "DELETE", "/v1/gates/80", "{}", 400, "INVALID_ARGUMENT", "DELETE takes no body" },
		{ "GET", "/v1/gates/80", NULL, 405, "METHOD_NOT_ALLOWED", "GET is not possible" },
	};
	const struct refusal named = { "DELETE", "/v1/gates/80", NULL,
				       409,	 "CONFLICT",	 "Port 80 is configured." };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_refusal(&rows[i], "");
	assert_int_equal(fake_asked.port, 0);
	json_decref(call("DELETE", "/v1/gates/80", NULL, 202));
	assert_int_equal(fake_asked.port, 80);
	assert_int_equal(fake_asked.seconds, CONFIG_DRAIN_DEFAULT);
	json_decref(call("DELETE", "/v1/gates/81?drain=0", NULL, 202));
	assert_int_equal(fake_asked.port, 81);
	assert_int_equal(fake_asked.seconds, 0);
	fake_asked.refuse = true;
	expect_refusal(&named, "");
}

static void test_reload(void **state)
{
	const struct refusal refusal = { "POST", "/v1/reload", NULL,
					 409,	 "CONFLICT",   "max_keys cannot change." };
	const struct gate plain = { .head_limit = 1024 };
	json_t *answer, *changes;

	(void)state;
	fake_add_gate(80, true, &plain);
	answer = call("POST", "/v1/reload", NULL, 200);
	changes = json_object_get(answer, "changes");
	assert_int_equal(fake_asked.reloads, 1);
	assert_int_equal(json_array_size(changes), 2);
	assert_string_equal(json_string_value(json_array_get(changes, 1)), "port 80 is protected");
	assert_int_equal(json_array_size(json_object_get(answer, "gates")), 1);
	assert_string_equal(text_of(answer, "keyWord"), "gx");
	assert_int_equal(number_of(answer, "keysPerAccount"), KEY_PER_ACCOUNT_DEFAULT);
	json_decref(answer);
	/* Done is done, where the gates cannot be read afterwards, too. */
	fake.failure = -EIO;
	log_capture();
	answer = call("POST", "/v1/reload", NULL, 200);
	log_captured();
	assert_int_equal(fake_asked.reloads, 2);
	assert_int_equal(json_array_size(json_object_get(answer, "changes")), 2);
	assert_null(json_object_get(answer, "gates"));
	json_decref(answer);
	fake.failure = 0;
	fake_asked.refuse = true;
	expect_refusal(&refusal, "");
}

/* --- sources that are shed --------------------------------------------------------------------- */

#define DOCUMENTED "{\"source\":\"203.0.113.7\",\"seconds\":90}"

static void test_shed(void **state)
{
	json_t *answer, *sources;

	(void)state;
	answer = call("POST", "/v1/shed", DOCUMENTED, 201);
	assert_string_equal(text_of(answer, "source"), "203.0.113.7");
	assert_in_range(number_of(answer, "secondsLeft"), 80, 90);
	assert_int_equal(number_of(answer, "dropped"), 0);
	json_decref(answer);
	/* Of IPv6 a network, however it is named; by itself as long as [shed] says. */
	answer = call("POST", "/v1/shed", "{\"source\":\"2001:db8::1\"}", 201);
	assert_string_equal(text_of(answer, "source"), "2001:db8::/64");
	assert_in_range(number_of(answer, "secondsLeft"), 50, 60);
	json_decref(answer);
	answer = call("GET", "/v1/shed", NULL, 200);
	sources = json_object_get(answer, "sources");
	assert_true(json_is_true(json_object_get(answer, "on")));
	assert_int_equal(number_of(answer, "max"), FAKE_SHED_ROOM);
	assert_int_equal(json_array_size(sources), 2);
	json_decref(answer);
	answer = call("GET", "/v1/status", NULL, 200);
	assert_int_equal(number_of(json_object_get(answer, "shed"), "sources"), 2);
	json_decref(answer);
	json_decref(call("DELETE", "/v1/shed/2001%3Adb8%3A%3A%2F64", NULL, 200));
	json_decref(call("DELETE", "/v1/shed/203.0.113.7", NULL, 200));
	assert_int_equal(fake_shed.count, 0);
}

static void test_shed_refusals(void **state)
{
	static const struct refusal rows[] = {
		{ "POST", "/v1/shed", "{}", 400, "INVALID_ARGUMENT", "source is missing" },
		{ "POST", "/v1/shed", "{\"source\":\"me\"}", 400, "INVALID_ARGUMENT",
		  "source must be an address, such as 203.0.113.7 or 2001:db8::7, or a network "
		  "with the prefix that makes a source here: /32 of IPv4, /64 of IPv6." },
		{ "POST", "/v1/shed", "{\"source\":\"203.0.113.0/24\"}", 400, "INVALID_ARGUMENT",
		  "source must be an address, or a network with the prefix that makes a source "
		  "here: /32." },
		{ "POST", "/v1/shed", "{\"source\":\"203.0.113.7/24\"}", 400, "INVALID_ARGUMENT",
		  "source has bits set behind its prefix." },
		{ "POST", "/v1/shed", "{\"source\":\"203.0.113.7\",\"seconds\":0}", 400,
		  "INVALID_ARGUMENT", "seconds must be from 1 to 2592000" },
		{ "POST", "/v1/shed", "{\"source\":\"127.9.9.9\"}", 409, "CONFLICT",
		  "The source is exempt" },
		{ "POST", "/v1/shed", "{\"source\":\"::1\"}", 409, "CONFLICT",
		  "The source is exempt" },
		{ "POST", "/v1/shed", "{\"source\":\"198.51.100.9\"}", 409, "CONFLICT",
		  "The source is exempt" },
		{ "DELETE", "/v1/shed/203.0.113.7", NULL, 404, "NOT_FOUND",
		  "The source is not shed." },
		{ "DELETE", "/v1/shed/%", NULL, 400, "INVALID_ARGUMENT",
		  "source must be an address" },
		{ "GET", "/v1/shed/203.0.113.7", NULL, 405, "METHOD_NOT_ALLOWED", "" },
	};
	const struct refusal off = { "POST", "/v1/shed", DOCUMENTED,
				     409,    "CONFLICT", "No source can be shed" };

	(void)state;
	assert_int_equal(network_read("198.51.100.0/24", &config.shed.exempt.rows[0]), 0);
	config.shed.exempt.count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_refusal(&rows[i], "");
	config.shed.interfaces.count = 0;
	expect_refusal(&off, "");
	assert_int_equal(fake_shed.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a new key's record holds what was asked for, and its secret", test_create),
		ROW("limits and expiry have their defaults", test_defaults),
		ROW("a call returns when the kernel has what it asked for", test_in_force),
		ROW("the secret is told once", test_told_once),
		ROW("keys are listed, all or an account's", test_list),
		ROW("an edit changes what it names and nothing else", test_edit),
		ROW("revoking twice is one revocation", test_revoke),
		ROW("each change is logged once, with who made it", test_log),
		ROW("each change that is refused is logged, without what the caller wrote",
		    test_refusals_are_logged),
		ROW("HEAD goes where GET does", test_head),
		ROW("records tell what the kernel has counted by now", test_live_usage),
		ROW("each wrong request has its own message, and changes nothing", test_refusals),
		ROW("a body may have 64 KiB and not a byte more", test_body_size),
		ROW("a quotation that is cut is still JSON", test_long_member),
		ROW("405 names the methods that are allowed", test_allow),
		ROW("each error has a trace id of its own", test_trace_ids),
		ROW("an account has at most 10 keys that are not revoked", test_cap),
		ROW("a revoked key stays as it is", test_revoked),
		ROW("a kernel side that fails is told, and no key is made", test_kernel_failure),
		ROW("status tells what stands, where, and what it counted", test_status),
		ROW("metrics are Prometheus text", test_metrics),
		ROW("gates are listed by port, those of this network namespace", test_gates),
		ROW("a port leaves within the time that was asked for", test_gate_leaves),
		ROW("a reload tells what is different, and what is in force", test_reload),
		ROW("sources are shed, listed and let in again", test_shed),
		ROW("what is no source, or exempt, is not shed", test_shed_refusals),
	};

	if (sodium_init() < 0)
		return 1;
	secret_wipe_json();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
