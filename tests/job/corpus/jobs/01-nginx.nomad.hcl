# nginx with a configuration copied in and a document root mounted; the single quotes shield the blank from the shell.
variable "images" {}
variable "host" {}
variable "port" {
  type = number
}

job "nginx" {
  datacenters = ["dc1"]
  type        = "service"

  group "web" {
    count = 1

    network {
      port "http" {
        static = var.port
      }
    }

    task "nginx" {
      driver = "pot"

      service {
        name = "nginx"
        port = "http"

        check {
          type     = "tcp"
          interval = "60s"
          timeout  = "30s"
        }
      }

      config {
        image   = var.images
        pot     = "nginx-nomad-amd64-14_1"
        tag     = "0.119"
        command = "nginx"
        args    = ["-g", "'daemon off;'"]
        copy = [
          "${var.host}/mnt/s3/web/nginx.conf:/usr/local/etc/nginx/nginx.conf",
        ]
        mount = [
          "${var.host}/mnt/s3/web/www:/mnt",
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
