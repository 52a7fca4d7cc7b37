# A flat list of flags; HTTPS.
variable "images" {}
variable "host" {}
variable "port" {
  type = number
}

job "caddy" {
  datacenters = ["dc1"]
  type        = "service"

  group "caddy" {
    network {
      port "https" {
        static = var.port
      }
    }

    task "caddy" {
      driver = "pot"

      config {
        image   = var.images
        pot     = "caddy-s3-nomad-amd64-13_1"
        tag     = "0.14"
        command = "/usr/local/bin/cook"
        args = [
          "-d", "domainname",
          "-e", "10.0.0.2:9000",
          "-f", "10.0.0.3:9000",
          "-b", "bucket",
          "-s", "on"
        ]
        copy  = ["${var.host}/path/to/access.log:/var/log/caddy/access.log"]
        mount = ["${var.host}/mnt/certs:/mnt/certs"]
        port_map = {
          https = "443"
        }
      }

      resources {
        cpu    = 1000
        memory = 128
      }
    }
  }
}
