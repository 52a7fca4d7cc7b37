# A batch task: it says the date and ends with exit code 3, which is what `pot-driver run` ends with, too.
#
#   export POT_SIM_ROOT=/tmp/pots
#   pot-sim init && pot-sim image create shell 1.0
#   pot-driver run examples/batch.nomad.hcl

variable "images" {
  type        = string
  default     = "file:///tmp/pots/images"
  description = "where shell_1.0.xz and its .skein lie"
}

job "batch" {
  datacenters = ["*"]
  type        = "batch"

  group "batch" {
    task "date" {
      driver = "pot"

      config {
        image        = var.images
        pot          = "shell"
        tag          = "1.0"
        network_mode = "host"

        # Command and arguments are one line for the pot's own shell: the inner quotes keep the script together.
        command = "/bin/sh"
        args    = ["-c", "'date; echo \"$GREETING from $NOMAD_TASK_NAME\"; exit 3'"]
      }

      env {
        GREETING = "hello"
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
