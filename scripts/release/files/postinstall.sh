#!/bin/sh
# Where systemd does not run, it makes the user when it starts. DPKG_ROOT: the package is for another root file system.
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
  systemd-sysusers mongotap.conf
  systemctl daemon-reload
fi
