# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of sweeps: a scenario of which all is stated, and a sweep of two rates, two partitioners and three repetitions.

# In the present folder: tiny.onnx, base.cfg and grid.cfg.
write_grid() {
    napm model new tiny-cnn -o tiny.onnx >/dev/null
    cat >base.cfg <<'END'
name = "base";
nodes = ( { name = "station"; role = "station"; gflops = 1.0; }, { name = "pi"; count = 2; gflops = 0.05; } );
links = ( { from = "pi"; rate = "1Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny.onnx"; tasks = 200; arrivals = { plugin = "poisson"; interval = "20ms"; }; } );
partitioner = { plugin = "station-only"; };
backend = { plugin = "reference"; };
scheduler = { plugin = "fifo"; };
END
    cat >grid.cfg <<'END'
name = "grid";
scenario = "base.cfg";
set = ("world=sim");
grid = ( { path = "links.pi.rate"; values = ("1Mbit", "4Mbit"); },
         { path = "partitioner.plugin"; values = ("station-only", "neurosurgeon"); } );
repeat = 3;
END
}
