/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Request heads and what is to become of them, one row of the contract's cases after the other.
 * The unit tests check the verdicts; the parity test, that the kernel finds the same.
 */
#ifndef SLUICE_HTTP_CORPUS_H
#define SLUICE_HTTP_CORPUS_H

#include <stddef.h>

#include "http_swift.h"

struct http_case {
	const char *row;
	enum http_result verdict;
	const char *bytes;
	size_t size;
};

#define TEXT(text)     text, sizeof(text) - 1
#define LINE	       "GET / HTTP/1.1\r\n"
#define HOST	       "Host: example.com\r\n"
#define FIELDS(fields) TEXT(LINE HOST fields "\r\n")
#define TARGET(target) TEXT("GET " target " HTTP/1.1\r\n" HOST "\r\n")
#define VERSION(text)  TEXT("GET / " text "\r\n" HOST "\r\n")
#define HOSTS(fields)  TEXT(LINE fields "\r\n")
#define HTTP10(fields) TEXT("GET / HTTP/1.0\r\n" fields "\r\n")
#define KEY	       "gx_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
#define BEARER	       "Authorization: Bearer " KEY "\r\n"

#define ROW_BARE       "a bare LF or CR anywhere in a head is bad"
#define ROW_EMPTY_LINE "one CRLF before the request line is skipped, more is bad"
#define ROW_LEADING    "white space before the method or the first field is bad"
#define ROW_FOLD       "obs-fold is bad in any field"
#define ROW_NAME       "a field's name is a token with the colon right behind it"
#define ROW_CONTROL    "control characters in a value are bad, HTAB excepted"
#define ROW_OBS_TEXT   "bytes from 0x80 pass in ordinary values and nowhere else"
#define ROW_METHOD     "any method of tchar passes, other bytes in it are bad"
#define ROW_SEPARATOR  "the request line is separated by single spaces"
#define ROW_HTTP09     "HTTP/0.9 is answered 505"
#define ROW_VERSION    "a malformed version is bad, another one is answered 505"
#define ROW_HTTP10     "HTTP/1.0 passes with or without Host"
#define ROW_NOISE      "a TLS ClientHello, a PROXY preamble and noise are bad"
#define ROW_ORIGIN     "origin-form passes, but for raw bytes and '#'"
#define ROW_ABSOLUTE   "absolute-form passes where its authority equals Host"
#define ROW_ASTERISK   "OPTIONS * passes, * with another method is bad"
#define ROW_CONNECT    "CONNECT is bad"
#define ROW_TARGET     "a target that is neither path, * nor URI is bad"
#define ROW_HOST       "HTTP/1.1 needs exactly one good Host"
#define ROW_BOTH       "Content-Length and Transfer-Encoding together are bad"
#define ROW_LENGTH     "Content-Length is a plain number up to 2^63-1"
#define ROW_TWICE      "a second framing field is bad, equal or not"
#define ROW_CODING     "Transfer-Encoding is exactly chunked, on HTTP/1.1"
#define ROW_LOOKALIKE  "look-alikes of framing fields are bad"
#define ROW_ANY_BODY   "any method may have a body of valid length"
#define ROW_CONNECTION "Connection naming a framing or authorization field is bad"
#define ROW_UPGRADE    "Upgrade to HTTP/2 is bad, to websocket passes"
#define ROW_AUTH       "a missing or malformed credential leaves the head well-formed"
#define ROW_AUTH_TWO   "two Authorization fields or two credentials in one are bad"
#define ROW_AUTH_OTHER "look-alikes of Authorization are ignored"
#define ROW_EXPECT     "Expect: 100-continue passes once, anything else is answered 417"
#define ROW_IDENTITY   "foreign X-Key-Id lines are found, more than four are bad"
#define ROW_PRECEDENCE "what is wrong first decides"

/* clang-format off: a case a line */
static const struct http_case http_corpus[] = {
	{ ROW_BARE, HTTP_BAD, TEXT("GET / HTTP/1.1\n" HOST "\r\n") },
	{ ROW_BARE, HTTP_BAD, TEXT("GET / HTTP/1.1\r" HOST "\r\n") },
	{ ROW_BARE, HTTP_BAD, TEXT(LINE "Host: a\n\r\n") },
	{ ROW_BARE, HTTP_BAD, TEXT(LINE "Host: a\r\r\n\r\n") },
	{ ROW_BARE, HTTP_BAD, TEXT(LINE HOST "\n") },
	{ ROW_BARE, HTTP_BAD, TEXT(LINE HOST "\r\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X: a\nAuthorization: Bearer b\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X: a\rAuthorization: Bearer b\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X: a\n\nGET / HTTP/1.1\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X: a\n\r\nGET / HTTP/1.1\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X: a\r\rGET / HTTP/1.1\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X\n: a\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("X:\ra\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("Content-Length: 5\n\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("Transfer-Encoding: chunked\n\r\n") },
	{ ROW_BARE, HTTP_BAD, FIELDS("Transfer-Encoding: \rchunked\r\n") },
	{ ROW_BARE, HTTP_BAD, TEXT("GET /\r HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_BARE, HTTP_BAD, TEXT("GET /\n HTTP/1.1\r\n" HOST "\r\n") },

	{ ROW_EMPTY_LINE, HTTP_DONE, TEXT("\r\n" LINE HOST "\r\n") },
	{ ROW_EMPTY_LINE, HTTP_BAD, TEXT("\r\n\r\n" LINE HOST "\r\n") },
	{ ROW_EMPTY_LINE, HTTP_BAD, TEXT("\n" LINE HOST "\r\n") },
	{ ROW_EMPTY_LINE, HTTP_BAD, TEXT("\r" LINE HOST "\r\n") },
	{ ROW_EMPTY_LINE, HTTP_BAD, TEXT("\r\n\n" LINE HOST "\r\n") },
	{ ROW_EMPTY_LINE, HTTP_BAD, TEXT("\r\n " LINE HOST "\r\n") },

	{ ROW_LEADING, HTTP_BAD, TEXT(" " LINE HOST "\r\n") },
	{ ROW_LEADING, HTTP_BAD, TEXT("\t" LINE HOST "\r\n") },
	{ ROW_LEADING, HTTP_BAD, TEXT("   \r\n" LINE HOST "\r\n") },
	{ ROW_LEADING, HTTP_BAD, TEXT(LINE " " HOST "\r\n") },
	{ ROW_LEADING, HTTP_BAD, TEXT(LINE "\t" HOST "\r\n") },
	{ ROW_LEADING, HTTP_BAD, TEXT(LINE " \r\n" HOST "\r\n") },

	{ ROW_FOLD, HTTP_BAD, FIELDS("X: a\r\n b\r\n") },
	{ ROW_FOLD, HTTP_BAD, FIELDS("X: a\r\n\tb\r\n") },
	{ ROW_FOLD, HTTP_BAD, FIELDS("X: a\r\n \r\n") },
	{ ROW_FOLD, HTTP_BAD, FIELDS("Transfer-Encoding:\r\n chunked\r\n") },
	{ ROW_FOLD, HTTP_BAD, FIELDS("Content-Length: 1\r\n 2\r\n") },
	{ ROW_FOLD, HTTP_BAD, FIELDS("Authorization: Bearer\r\n " KEY "\r\n") },

	{ ROW_NAME, HTTP_DONE, FIELDS("X:\r\n") },
	{ ROW_NAME, HTTP_DONE, FIELDS("!#$%&'*+-.^_`|~09azAZ: a\r\n") },
	{ ROW_NAME, HTTP_DONE, FIELDS("X::: a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X : a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X\t: a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("Content-Length : 5\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("Transfer-Encoding\t: chunked\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS(": a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X y: a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X(y): a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X\0y: a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X\x80: a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("\"X\": a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X\x7f: a\r\n") },
	{ ROW_NAME, HTTP_BAD, FIELDS("X/y: a\r\n") },

	{ ROW_CONTROL, HTTP_DONE, FIELDS("X: a\tb\t\r\n") },
	{ ROW_CONTROL, HTTP_BAD, FIELDS("X: a\0b\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("X: a\x01"
		 "b\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("X: a\x0b"
		 "b\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("X: a\x0c"
		 "b\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("X: a\x1f"
		 "b\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("X: a\x7f"
		 "b\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("Transfer-Encoding: \x0b"
		 "chunked\r\n") },
	{ ROW_CONTROL, HTTP_BAD, FIELDS("Transfer-Encoding: chunked\0\r\n") },
	{ ROW_CONTROL, HTTP_BAD, FIELDS("Authorization: Bearer a\x01\r\n") },
	{ ROW_CONTROL, HTTP_BAD,
	  FIELDS("Connection: \x0c"
		 "close\r\n") },

	{ ROW_OBS_TEXT, HTTP_DONE, FIELDS("X: \x80\xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, HOSTS("Host: a\xc3\xa4\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Content-Length: 5\xa0\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Transfer-Encoding: chunked\xa0\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Authorization: Basic \xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Authorization: Bearer a\x80\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Connection: close\x85\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Connection: \x80\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Expect: \x80\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, HTTP10("Expect: \xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Upgrade: websocket\x80\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Upgrade: websocket/\xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Upgrade: websocket, \xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Authorization: \xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD,
	  FIELDS("Transfer-Encoding: \xa0"
		 "chunked\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Expect: 100-continue\xff\r\n") },
	{ ROW_OBS_TEXT, HTTP_BAD, FIELDS("Upgrade: web\xffsocket\r\n") },

	{ ROW_METHOD, HTTP_DONE, TEXT("get / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_DONE, TEXT("SLUDGE / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_DONE, TEXT("M-SEARCH!#$%&'*+.^_`|~1 / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_BAD, TEXT("GE(T / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_BAD, TEXT("GE\0T / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_BAD, TEXT("G\xc3T / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_BAD, TEXT("GET: / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_BAD, TEXT("GET\r\n" HOST "\r\n") },
	{ ROW_METHOD, HTTP_DONE,
	  TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZCONNECT / HTTP/1.1\r\n" HOST "\r\n") },

	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET  / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET\t/ HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET\x0b/ HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET\x0c/ HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET /  HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET /\tHTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET /\x0bHTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET /\x0cHTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET /\xa0HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET / HTTP/1.1 \r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET / HTTP/1.1\t\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET /a b HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_SEPARATOR, HTTP_BAD, TEXT("GET / \r\n" HOST "\r\n") },

	{ ROW_HTTP09, HTTP_VERSION, TEXT("GET /\r\n") },
	{ ROW_HTTP09, HTTP_VERSION, TEXT("GET /\r\n" HOST "\r\n") },
	{ ROW_HTTP09, HTTP_VERSION, TEXT("GET / HTTP/0.9\r\n\r\n") },
	{ ROW_HTTP09, HTTP_BAD, TEXT("GET /\n") },

	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1.10") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/01.1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1.") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/.1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/11") },
	{ ROW_VERSION, HTTP_BAD, VERSION("http/1.1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1. 1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP /1.1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1,1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1.1\x00") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1.x") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTP/1.1HTTP/1.1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("ICAP/1.1") },
	{ ROW_VERSION, HTTP_BAD, VERSION("HTTPS/1.1") },
	{ ROW_VERSION, HTTP_VERSION, VERSION("HTTP/1.2") },
	{ ROW_VERSION, HTTP_VERSION, VERSION("HTTP/2.0") },
	{ ROW_VERSION, HTTP_VERSION, VERSION("HTTP/9.9") },
	{ ROW_VERSION, HTTP_VERSION, VERSION("HTTP/0.0") },
	{ ROW_VERSION, HTTP_VERSION, TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	{ ROW_VERSION, HTTP_BAD, TEXT("PRI * HTTP/1.1\r\n" HOST "\r\n") },

	{ ROW_HTTP10, HTTP_DONE, HTTP10("") },
	{ ROW_HTTP10, HTTP_DONE, HTTP10(HOST) },
	{ ROW_HTTP10, HTTP_DONE, HTTP10("Connection: keep-alive\r\n") },
	{ ROW_HTTP10, HTTP_DONE, HTTP10("Connection: keep-alive, close\r\n") },
	{ ROW_HTTP10, HTTP_DONE, HTTP10("Content-Length: 3\r\n") },
	{ ROW_HTTP10, HTTP_BAD, HTTP10(HOST HOST) },
	{ ROW_HTTP10, HTTP_BAD, HTTP10("Host: a b\r\n") },

	{ ROW_NOISE, HTTP_BAD, TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
	{ ROW_NOISE, HTTP_BAD, TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" LINE HOST "\r\n") },
	{ ROW_NOISE, HTTP_BAD, TEXT("PROXY UNKNOWN\r\n" LINE HOST "\r\n") },
	{ ROW_NOISE, HTTP_BAD, TEXT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c") },
	{ ROW_NOISE, HTTP_BAD, TEXT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
	{ ROW_NOISE, HTTP_BAD, TEXT("SSH-2.0-OpenSSH_9.2\r\n") },
	{ ROW_NOISE, HTTP_BAD, TEXT("EHLO example.com\r\n") },
	{ ROW_NOISE, HTTP_BAD, TEXT("{\"jsonrpc\":\"2.0\"}\r\n") },

	{ ROW_ORIGIN, HTTP_DONE, TARGET("//a//b") },
	{ ROW_ORIGIN, HTTP_DONE, TARGET("/%00%2f..") },
	{ ROW_ORIGIN, HTTP_DONE, TARGET("/?a=b&c=%20?;d") },
	{ ROW_ORIGIN, HTTP_DONE, TARGET("/\"<>\\^`{|}[]") },
	{ ROW_ORIGIN, HTTP_BAD, TARGET("/a#b") },
	{ ROW_ORIGIN, HTTP_BAD, TARGET("/a\0b") },
	{ ROW_ORIGIN, HTTP_BAD, TARGET("/a\x01") },
	{ ROW_ORIGIN, HTTP_BAD, TARGET("/a\x7f") },
	{ ROW_ORIGIN, HTTP_BAD, TARGET("/\xc3\xa4") },
	{ ROW_ORIGIN, HTTP_BAD, TARGET("/a\tb") },

	{ ROW_ABSOLUTE, HTTP_DONE, TARGET("http://example.com/") },
	{ ROW_ABSOLUTE, HTTP_DONE, TARGET("http://example.com") },
	{ ROW_ABSOLUTE, HTTP_DONE, TARGET("http://example.com?a=http://b") },
	{ ROW_ABSOLUTE, HTTP_DONE, TARGET("HTTP://EXAMPLE.com/a@b") },
	{ ROW_ABSOLUTE, HTTP_DONE, TARGET("https://example.com/") },
	{ ROW_ABSOLUTE, HTTP_DONE, TEXT("GET http://a:80/ HTTP/1.1\r\nHost:A:80 \r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_DONE,
	  TEXT("GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_DONE, TEXT("GET http://a/ HTTP/1.0\r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_DONE, TEXT("GET http://a/ HTTP/1.0\r\nHost: a\r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_BAD, TEXT("GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_BAD, TEXT("GET http://a/ HTTP/1.1\r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://example.com:80/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TEXT("GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://example.co/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://example.comm/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://other.host/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://user@example.com/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://user:pass@example.com/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http:///") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http:/example.com/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http:example.com/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://example.com#a") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://example.com\\a") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://exam%70le.com/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://[::1/") },
	{ ROW_ABSOLUTE, HTTP_BAD, TARGET("http://[]/") },

	{ ROW_ASTERISK, HTTP_DONE, TEXT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_ASTERISK, HTTP_BAD, TARGET("*") },
	{ ROW_ASTERISK, HTTP_BAD, TEXT("OPTIONS *a HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_ASTERISK, HTTP_BAD, TEXT("options * HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_CONNECT, HTTP_BAD, TEXT("CONNECT example.com:80 HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_CONNECT, HTTP_BAD, TEXT("CONNECT / HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_CONNECT, HTTP_BAD, TEXT("connect example.com:80 HTTP/1.1\r\n" HOST "\r\n") },
	{ ROW_TARGET, HTTP_BAD, TARGET("example.com:80") },
	{ ROW_TARGET, HTTP_BAD, TARGET("index.html") },
	{ ROW_TARGET, HTTP_BAD, TARGET("?a=b") },
	{ ROW_TARGET, HTTP_BAD, TARGET("#") },
	{ ROW_TARGET, HTTP_BAD, TARGET("\\") },
	{ ROW_TARGET, HTTP_BAD, TARGET("mailto:a@b") },
	{ ROW_TARGET, HTTP_BAD, TARGET("ftp://example.com/") },
	{ ROW_TARGET, HTTP_BAD, TARGET("://example.com/") },
	{ ROW_TARGET, HTTP_BAD, TEXT("GET HTTP/1.1\r\n" HOST "\r\n") },

	{ ROW_HOST, HTTP_DONE, HOSTS("Host:a\r\n") },
	{ ROW_HOST, HTTP_DONE, HOSTS("hOST: \t a-b_c.~d:8080 \t\r\n") },
	{ ROW_HOST, HTTP_DONE, HOSTS("Host: 192.0.2.1:80\r\n") },
	{ ROW_HOST, HTTP_DONE, HOSTS("Host: [2001:db8::1]:80\r\n") },
	{ ROW_HOST, HTTP_DONE, HOSTS("Host: [::ffff:192.0.2.1]\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host:\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: \t\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a\r\nHost: a\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a\r\nX: y\r\nhost: b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a, b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a,b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: user@a\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a/b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: http://a\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a?b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a#b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a\0b\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a\x01\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a:8o\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: a:80:80\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: :80\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: [::1\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: [::1]a\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: ::1\r\n") },
	{ ROW_HOST, HTTP_BAD, HOSTS("Host: [fe80::1%eth0]\r\n") },

	{ ROW_BOTH, HTTP_BAD, FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") },
	{ ROW_BOTH, HTTP_BAD, FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") },
	{ ROW_BOTH, HTTP_BAD,
	  FIELDS("Content-Length: 0\r\nX: y\r\ntransfer-encoding: chunked\r\n") },
	{ ROW_BOTH, HTTP_BAD,
	  TEXT(LINE "Transfer-Encoding: chunked\r\n" HOST "Content-Length: 0\r\n\r\n") },

	{ ROW_LENGTH, HTTP_DONE, FIELDS("Content-Length: 0\r\n") },
	{ ROW_LENGTH, HTTP_DONE, FIELDS("Content-Length:5\r\n") },
	{ ROW_LENGTH, HTTP_DONE, FIELDS("content-LENGTH: \t5 \t\r\n") },
	{ ROW_LENGTH, HTTP_DONE, FIELDS("Content-Length: 9223372036854775807\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 9223372036854775808\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 18446744073709551616\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 18446744073709551621\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 99999999999999999999999\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: +5\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: -5\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 0x5\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 1_0\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 1e1\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 5, 5\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 5,\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 5 5\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 5;a=b\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length:\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: \t\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 05\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 00\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: \"5\"\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: 5.0\r\n") },
	{ ROW_LENGTH, HTTP_BAD, FIELDS("Content-Length: \xb2\r\n") },

	{ ROW_TWICE, HTTP_BAD, FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n") },
	{ ROW_TWICE, HTTP_BAD, FIELDS("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n") },
	{ ROW_TWICE, HTTP_BAD, FIELDS("Content-Length: 0\r\nContent-Length: 0\r\n") },
	{ ROW_TWICE, HTTP_BAD,
	  FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") },

	{ ROW_CODING, HTTP_DONE, FIELDS("Transfer-Encoding: chunked\r\n") },
	{ ROW_CODING, HTTP_DONE, FIELDS("transfer-encoding:CHUNKED \t\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: gzip, chunked\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: chunked, gzip\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: chunked, chunked\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: chunked,\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: ,chunked\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: chunked;a=b\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: identity\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: chunke\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: xchunked\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: x chunked\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: chunked x\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: \"chunked\"\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding: aaaaaaaaaaaaaaaaaaaaaaaachunked\r\n") },
	{ ROW_CODING, HTTP_BAD, FIELDS("Transfer-Encoding:\r\n") },
	{ ROW_CODING, HTTP_BAD, HTTP10("Transfer-Encoding: chunked\r\n") },

	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("Content_Length: 5\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("content_length: 5\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("Content-Length: 5\r\nContent_Length: 5\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("Transfer_Encoding: chunked\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("TRANSFER_ENCODING: chunked\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("Content.Length: 5\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("Transfer+Encoding: chunked\r\n") },
	{ ROW_LOOKALIKE, HTTP_BAD, FIELDS("HTTP2_Settings: AAMAAABk\r\n") },
	{ ROW_LOOKALIKE, HTTP_DONE, FIELDS("X-Content-Length: a\r\nContent-Lengths: a\r\n") },
	{ ROW_LOOKALIKE, HTTP_DONE, FIELDS("aaaaaaaaaaaaaaaaaaaaaaaacontent-length: a\r\n") },

	{ ROW_ANY_BODY, HTTP_DONE, FIELDS("Content-Length: 10\r\n") },
	{ ROW_ANY_BODY, HTTP_DONE, TEXT("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n") },
	{ ROW_ANY_BODY, HTTP_DONE,
	  TEXT("DELETE / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n") },
	{ ROW_ANY_BODY, HTTP_DONE,
	  TEXT("OPTIONS / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n") },
	{ ROW_ANY_BODY, HTTP_DONE, TEXT("POST / HTTP/1.1\r\n" HOST "\r\n") },

	{ ROW_CONNECTION, HTTP_DONE, FIELDS("Connection: close\r\n") },
	{ ROW_CONNECTION, HTTP_DONE, FIELDS("Connection: Keep-Alive, Upgrade,TE , x\r\n") },
	{ ROW_CONNECTION, HTTP_DONE, FIELDS("Connection: ,, close ,\r\nConnection:\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: Content-Length\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: close, transfer-encoding\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: Authorization , close\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: authorization,close\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: x\r\nConnection: host\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: X-Key-Id\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: x_key_id\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: content_length\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: transfer_encoding\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: Upgrade, HTTP2-Settings\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: expect\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, HTTP10("Connection: keep-alive, content-length\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: keep-alive close\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: close;x\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: \"close\"\r\n") },
	{ ROW_CONNECTION, HTTP_BAD, FIELDS("Connection: close/1\r\n") },

	{ ROW_UPGRADE, HTTP_DONE, FIELDS("Connection: Upgrade\r\nUpgrade: websocket\r\n") },
	{ ROW_UPGRADE, HTTP_DONE, FIELDS("Upgrade: websocket/13, foo\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: h2c\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: websocket, H2C\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: h2c, websocket\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: h2c/1\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: ,h2c\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: h2c,\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: websocket ,\th2c \r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: websocket\r\nUpgrade: h2c\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: H2\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, HTTP10("Upgrade: h2c\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("http2-settings:\r\n") },
	{ ROW_UPGRADE, HTTP_DONE, FIELDS("Upgrade: h2cx, xh2c, h2-c\r\n") },
	{ ROW_UPGRADE, HTTP_DONE, HTTP10("Upgrade: websocket\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: HTTP/2.0\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: TLS/1.2\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("HTTP2-Settings: AAMAAABk\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: web socket\r\n") },
	{ ROW_UPGRADE, HTTP_BAD, FIELDS("Upgrade: /1\r\n") },

	{ ROW_AUTH, HTTP_DONE, FIELDS("") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization:\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: \t \r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Basic dXNlcjpwYXNz\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Digest username=\"a\", realm=\"b c\"\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer  \r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer\t" KEY "\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer \t" KEY "\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer gx_!\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer \"" KEY "\"\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer =\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer a=b\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer a==\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer:" KEY "\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: Bearer" KEY "\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: xBearer " KEY "\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("Authorization: " KEY "\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS(BEARER) },
	{ ROW_AUTH, HTTP_DONE, FIELDS("AUTHORIZATION:bearer   " KEY " \t\r\n") },
	{ ROW_AUTH, HTTP_DONE, FIELDS("authorization: \tBEARER " KEY "\r\n") },

	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS(BEARER BEARER) },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization:\r\n" BEARER) },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS(BEARER "X: y\r\nauthorization: Basic a\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer a, Bearer b\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer a,Bearer b\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer a Bearer b\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer a\tb\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer a! b\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer , a\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Basic a, Bearer b\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Basic a,bearer\tb\r\n") },
	{ ROW_AUTH_TWO, HTTP_BAD, FIELDS("Authorization: Bearer, Bearer b\r\n") },

	{ ROW_AUTH_OTHER, HTTP_DONE, FIELDS("X-Authorization: Bearer " KEY "\r\n") },
	{ ROW_AUTH_OTHER, HTTP_DONE, FIELDS("Proxy-Authorization: Bearer " KEY "\r\n") },
	{ ROW_AUTH_OTHER, HTTP_DONE, FIELDS("Cookie: Authorization=Bearer " KEY "\r\n") },
	{ ROW_AUTH_OTHER, HTTP_DONE,
	  FIELDS("Authorizatio: Bearer a\r\nAuthorizations: Bearer b\r\n") },
	{ ROW_AUTH_OTHER, HTTP_DONE, TARGET("/?authorization=Bearer%20" KEY) },

	{ ROW_EXPECT, HTTP_DONE, FIELDS("Expect: 100-continue\r\n") },
	{ ROW_EXPECT, HTTP_DONE, FIELDS("eXPECT:\t100-CONTINUE \r\n") },
	{ ROW_EXPECT, HTTP_DONE, HTTP10("Expect: 100-continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION,
	  FIELDS("Expect: 100-continue\r\nExpect: 100-continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100-continue, 100-continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100_continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100-continue x\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100- continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 200-ok\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect:\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, HTTP10("Expect: 200-ok\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100-continue,\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100-continue;a=b\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: \"100-continue\"\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100-continue\r\nX: y\r\nexpect:\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect:\r\nExpect: 100-continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION, FIELDS("Expect: 100-continuee\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION,
	  FIELDS("Expect: aaaaaaaaaaaaaaaaaaaaaaaa100-continue\r\n") },
	{ ROW_EXPECT, HTTP_EXPECTATION,
	  HTTP10("Expect: 100-continue\r\nExpect: 100-continue\r\n") },
	{ ROW_EXPECT, HTTP_BAD, FIELDS("Expect: 200-ok\r\nContent-Length: x\r\n") },
	{ ROW_EXPECT, HTTP_BAD, HOSTS("Expect: 200-ok\r\n") },

	{ ROW_IDENTITY, HTTP_DONE, FIELDS("X-Key-Id: key_a; account=b\r\n") },
	{ ROW_IDENTITY, HTTP_DONE,
	  FIELDS("x_key_id: a\r\nX-KEY_ID:\r\nX.Key.Id: \x80\r\nX-Key-Id: d\r\n") },
	{ ROW_IDENTITY, HTTP_DONE, FIELDS("X-Key-Ids: a\r\nXX-Key-Id: b\r\nXKeyId: c\r\n") },
	{ ROW_IDENTITY, HTTP_BAD,
	  FIELDS("X-Key-Id: a\r\nX-Key-Id: b\r\nX-Key-Id: c\r\nX_Key_Id: d\r\nX-Key-Id: e\r\n") },

	{ ROW_PRECEDENCE, HTTP_VERSION, TEXT("GET / HTTP/1.2\r\n \n") },
	{ ROW_PRECEDENCE, HTTP_BAD, TEXT("GET /\x01 HTTP/2.0\r\n") },
	{ ROW_PRECEDENCE, HTTP_BAD, FIELDS(BEARER "Content-Length: 5\r\nContent-Length: 5\r\n") },
	{ ROW_PRECEDENCE, HTTP_BAD, FIELDS("Content-Length: 5, 6\r\n" BEARER) },
};
/* clang-format on */

#define HTTP_CORPUS_SIZE (sizeof(http_corpus) / sizeof(*http_corpus))

#endif
