// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the application learns of who asks: the key's id and account, never the secret. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_client.h"

/* The line that takes the place of Authorization, padding included. */
static void identity_line(const struct key *key, char line[128])
{
	int length = snprintf(line, 128, "X-Key-Id: %s; account=%s", key->id, key->account);
	int full = strlen("Authorization: Bearer ") + strlen(key->text);

	snprintf(line + length, 128 - length, "%*s", full - length, "");
}

static void expect_body_holds(const struct response *response, const char *text, bool holding)
{
	if (holds(response->body, response->body_length, text) != holding)
		fail_msg("'%s' %s in: %.*s", text, holding ? "is missing" : "is",
			 (int)response->body_length, response->body);
}

static void swapped(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	struct response response;
	char line[128], *end;

	identity_line(&key, line);
	client_ask(client, "GET", "/echo", key.text, "X-Other: stays\r\n", &response);
	expect_admitted(&response, 200);
	/* nginx and Node show values without the white space around them. */
	if (application == &applications[NGINX] || application == &applications[NODE]) {
		for (end = line + strlen(line); end[-1] == ' '; end--)
			end[-1] = '\0';
	}
	expect_body_holds(&response, line, true);
	expect_body_holds(&response, "X-Other: stays\r\n", true);
	expect_body_holds(&response, "gx_", false);
	expect_body_holds(&response, "Bearer", false);
}

/* The longest account fits, also where the line was written as short as it may be. */
static void longest_account(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_create(
		&(struct key_options){ .account = "0123456789abcdef-0123456789abcdef@.:" });
	struct response response;
	char account[64];

	snprintf(account, sizeof(account), "; account=%s", key.account);
	client_printf(client,
		      "GET /echo HTTP/1.1\r\nHost: api.test\r\nauthorization:bearer %s\r\n\r\n",
		      key.text);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
	expect_body_holds(&response, key.id, true);
	expect_body_holds(&response, account, true);
	expect_body_holds(&response, "gx_", false);
}

/* Whatever way the line is written, the secret is gone and the rest is as it was. */
static void any_spelling(void **state)
{
	static const char *const spellings[] = {
		"Authorization: Bearer ",  "authorization: bearer ",   "AUTHORIZATION: BEARER ",
		"Authorization:Bearer ",   "Authorization:   Bearer ", "Authorization: Bearer    ",
		"Authorization:\tBearer ",
	};
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(100, 1000);
	struct response response;

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		client_printf(client, "GET /echo HTTP/1.1\r\n%s%s \t\r\nHost: api.test\r\n\r\n",
			      spellings[i], key.text);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
		expect_body_holds(&response, key.id, true);
		expect_body_holds(&response, key.text, false);
	}
}

static void forged_identity(void **state)
{
	static const char *const names[] = { "X-Key-Id", "x-key-id", "X-KEY-ID", "X_Key_Id",
					     "x_key_id", "X-Key_Id", "x_KEY-id" };
	const struct application *application = *state;
	struct key key = key_limited(100, 1000);
	struct response response;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++) {
		struct client *client = client_open(application->port);
		const char *name = names[i / 2];
		int error;

		/* Before the credential and behind it. */
		client_printf(client,
			      "GET /echo HTTP/1.1\r\nHost: api.test\r\n%s%s%s"
			      "Authorization: Bearer %s\r\n%s%s%s\r\n",
			      i % 2 ? name : "", i % 2 ? ": key_forged; account=root" : "",
			      i % 2 ? "\r\n" : "", key.text, i % 2 ? "" : name,
			      i % 2 ? "" : ": key_forged; account=root", i % 2 ? "" : "\r\n");
		error = client_read(client, false, &response);
		assert_int_equal(error, 0);
		if (response.status == 200)
			expect_body_holds(&response, key.id, true);
		expect_body_holds(&response, "forged", false);
	}
}

static void forged_without_key(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	char line[128];
	struct response response;

	snprintf(line, sizeof(line), "X-Key-Id: %s; account=%s\r\n", key.id, key.account);
	client_ask(client, "GET", "/forged", NULL, line, &response);
	expect_refusal(&response, 401, NULL);
	expect_seen(application, "/forged", 0);
}

static const struct promise promises[] = {
	{ "the key's id and account stand in the secret's place", swapped, EACH_APPLICATION },
	{ "the longest account fits into the shortest line", longest_account, EACH_APPLICATION },
	{ "no spelling of the line lets the secret through", any_spelling, EACH_APPLICATION },
	{ "a client's own X-Key-Id never arrives", forged_identity, EACH_APPLICATION },
	{ "X-Key-Id is no credential", forged_without_key, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
