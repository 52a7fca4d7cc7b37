# Commas, a dollar sign and a network in the arguments.
variable "images" {}
variable "host" {}
variable "port" {
  type = number
}

job "backupmx" {
  datacenters = ["dc1"]
  type        = "service"

  group "mail" {
    network {
      port "smtp" {
        static = var.port
      }
    }

    task "postfix" {
      driver = "pot"

      config {
        image   = var.images
        pot     = "postfix-backupmx-nomad-amd64-13_1"
        tag     = "1.4.3"
        command = "/usr/local/bin/cook"
        args = [
          "-n", "10.10.10.10/32",
          "-d", "'example1.com, example2.com, example.de'",
          "-h", "mx2.example1.com",
          "-b", "'mx2.example1.com ESMTP \\$mail_name'"
        ]
        mount = ["${var.host}/mnt/postfix:/var/spool/postfix"]
        port_map = {
          smtp = "25"
        }
      }

      resources {
        cpu    = 1000
        memory = 256
      }
    }
  }
}
