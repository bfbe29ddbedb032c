#!/bin/sh
# Plays the server for the tests of ServerCommand; MODE says which part.
# A file of the repository, because a script written by a test may still be open in another test's child.
case "$MODE" in
polite)
    tail -f /dev/null &
    child=$!
    trap 'kill $child; exit 0' TERM
    echo "$*"
    echo 'listening on http://127.0.0.1:4321/'
    wait
    ;;
stubborn)
    echo 'listening on http://127.0.0.1:1'
    exec tail -f /dev/null
    ;;
failing)
    echo 'the port is taken' >&2
    exit 3
    ;;
*)
    echo "$*"
    exit 2
    ;;
esac
