# A web server in a pot.
#
# scripts/demo shows it step by step. On this machine, without Nomad:
#
#   export POT_SIM_ROOT=/tmp/pots
#   pot-sim init && pot-sim image create web 1.0 --from examples/web-image
#   pot-driver run --var images=file:///tmp/pots/images examples/web.nomad.hcl
#
# On a cluster with FreeBSD clients `images` is the URL of a web server with the image.

variable "images" {
  type        = string
  default     = "http://127.0.0.1:8480"
  description = "where web_1.0.xz and its .skein lie"
}

variable "port" {
  type    = number
  default = 12000
}

job "web" {
  datacenters = ["*"]
  type        = "service"

  group "web" {
    count = 1

    network {
      port "http" {
        static = var.port
      }
    }

    service {
      name     = "web"
      port     = "http"
      provider = "nomad"

      check {
        name     = "tcp"
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "web" {
      driver       = "pot"
      kill_timeout = "10s"

      template {
        destination = "local/www/index.html"
        data        = <<-EOT
          <!doctype html>
          <title>pot</title>
          <h1>Hello from inside a pot</h1>
          <p>allocation {{ env "NOMAD_ALLOC_ID" }}
        EOT
      }

      template {
        destination = "local/web.conf"
        data        = "copied into the pot"
      }

      config {
        image = var.images
        pot   = "web"
        tag   = "1.0"

        command = "/opt/web/httpd"
        args    = ["--port", "80", "--directory", "/mnt"]

        # Into the pot's own file system, before it starts.
        copy = [
          "local/web.conf:/etc/web.conf",
        ]

        # Relative paths are below the task's directory; host paths are written with a leading slash.
        mount = [
          "local/www:/mnt",
        ]

        port_map = {
          http = "80"
        }
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
