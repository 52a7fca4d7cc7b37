# Five copies, two mounts, flags with values.
variable "images" {}
variable "host" {}
variable "port" {
  type = number
}

job "nextcloud" {
  datacenters = ["dc1"]
  type        = "service"

  group "nextcloud" {
    network {
      port "http" {
        static = var.port
      }
    }

    task "nextcloud" {
      driver = "pot"

      service {
        name = "nextcloud"
        port = "http"

        check {
          type     = "tcp"
          interval = "60s"
          timeout  = "30s"

          check_restart {
            limit = 0
            grace = "120s"
          }
        }
      }

      config {
        image   = var.images
        pot     = "nextcloud-nginx-nomad-amd64-14_1"
        tag     = "0.95"
        command = "/usr/local/bin/cook"
        args    = ["-d", "/mnt/filestore", "-s", "10.0.0.1:5432"]
        copy = [
          "${var.host}/nextcloud/objectstore.config.php:/root/objectstore.config.php",
          "${var.host}/nextcloud/mysql.config.php:/root/mysql.config.php",
          "${var.host}/nextcloud/custom.config.php:/root/custom.config.php",
          "${var.host}/nextcloud/caching.config.php:/root/caching.config.php",
          "${var.host}/nextcloud/rootca.crt:/root/rootca.crt"
        ]
        mount = [
          "${var.host}/mnt/nextcloud/filestore:/mnt/filestore",
          "${var.host}/mnt/nextcloud/www:/usr/local/www/nextcloud"
        ]
        port_map = {
          http = "80"
        }
      }

      resources {
        cpu    = 1000
        memory = 2000
      }
    }
  }
}
