#!/bin/sh
# Where systemd does not run, it makes the user when it starts.
if [ -d /run/systemd/system ]; then
  systemd-sysusers mongotap.conf
  systemctl daemon-reload
fi
