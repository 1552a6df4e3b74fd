#!/bin/sh
echo live.sessions 42
