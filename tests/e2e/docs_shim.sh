#!/usr/bin/env bash
# `crossbill` as the pages of the documents call it (test_docs_run.py): `serve` goes on in the
# background, in place of the one before, and answers when this returns. Other commands find a server.
set -u

stop() {
    local process
    process=$(cat "$DOCS/server.pid" 2>/dev/null) || return 0
    kill "$process" 2>/dev/null
    for _ in $(seq 600); do
        kill -0 "$process" 2>/dev/null || break
        sleep 0.05
    done
    rm -f "$DOCS/server.pid"
}

running() { [ -f "$DOCS/server.pid" ] && kill -0 "$(cat "$DOCS/server.pid")" 2>/dev/null; }

serve() {
    stop
    local scheme=http process
    case " $* " in *" --tls-cert "*) scheme=https ;; esac
    printf '%s\0' "$@" >"$DOCS/server.arguments"
    "$REAL" "$@" >>"$DOCS/server.log" 2>&1 </dev/null &
    process=$!
    echo "$process" >"$DOCS/server.pid"
    for _ in $(seq 1200); do
        curl --fail --silent --insecure --output /dev/null "$scheme://127.0.0.1:$PORT/ready" && return 0
        kill -0 "$process" 2>/dev/null || break
        sleep 0.05
    done
    echo "the server did not start:" >&2
    tail -n 20 "$DOCS/server.log" >&2
    return 1
}

# The directory that a command works on by itself, if it names one.
own_data() {
    while [ $# -gt 0 ]; do
        case $1 in
            --data) echo "$2"; return ;;
            --data=*) echo "${1#--data=}"; return ;;
        esac
        shift
    done
}

case " $* " in
    " stop-the-server ") stop; exit 0 ;;
    # Neither wants a server, and doctor is not to find its port taken.
    *" --print-settings "* | *" --help "* | " doctor "*) exec "$REAL" "$@" ;;
    " serve "*) serve "$@"; exit ;;
esac

data=$(own_data "$@")
if [ -n "$data" ]; then
    [ "$(realpath -m "$data")" = "$(realpath -m "$CROSSBILL_DATA")" ] && stop
elif ! running; then
    # It was stopped for a command that worked on its directory.
    if [ -f "$DOCS/server.arguments" ]; then
        mapfile -d '' -t arguments <"$DOCS/server.arguments"
        serve "${arguments[@]}" || exit
    else
        serve serve || exit
    fi
fi

"$REAL" "$@" 2> >(tee "$DOCS/stderr" >&2)
code=$?
# An import whose records were not all taken has ended as its summary says.
[ "$code" -eq 3 ] && exit 0
if [ "$code" -ne 0 ]; then
    sleep 0.1
    while IFS=$'\t' read -r words says; do
        case "$*" in "$words"*) grep -qF "$says" "$DOCS/stderr" && exit 0 ;; esac
    done <"$DOCS/refused"
fi
exit "$code"
